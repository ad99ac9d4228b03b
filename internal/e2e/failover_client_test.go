package e2e

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// How often the clients of TestFailoverTable come round. A writer that failed comes back
// sooner, so that a gap is not rounded up to its rhythm.
const (
	writeEvery     = 20 * time.Millisecond
	retryEvery     = 10 * time.Millisecond
	readEvery      = 100 * time.Millisecond
	attemptTimeout = 5 * time.Second // for one attempt
)

// staleAfter is how far a read may lag behind what was committed before it counts as
// stale. The samples promise a running replica, which replays within a moment.
const staleAfter = time.Second

// asker is one connection to a database.
type asker interface {
	// ask returns the last row of the answer, with "|" between columns.
	ask(statement string) (string, error)
	close()
}

// wire is a connection in this process: a psql for each of a thousand would cost more
// than what is measured.
type wire struct{ conn *pgconn.PgConn }

func dialWire(ctx context.Context, conninfo string) (asker, error) {
	conn, err := pgconn.Connect(ctx, conninfo)
	if err != nil {
		return nil, err
	}
	return wire{conn}, nil
}

func (w wire) ask(statement string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), attemptTimeout)
	defer cancel()
	results, err := w.conn.Exec(ctx, statement).ReadAll()
	if err != nil {
		if pg, ok := errors.AsType[*pgconn.PgError](err); ok && !w.conn.IsClosed() {
			return "", fmt.Errorf("SQLSTATE %s: %s", pg.Code, pg.Message)
		}
		return "", &lostError{err.Error()}
	}
	var columns []string
	for _, result := range results {
		for _, row := range result.Rows {
			columns = columns[:0]
			for _, column := range row {
				columns = append(columns, string(column))
			}
		}
	}
	return strings.Join(columns, "|"), nil
}

func (w wire) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = w.conn.Close(ctx)
}

// try is one attempt of a client to read or to write.
type try struct {
	began, done time.Time
	err         error
	port        int   // of the member that answered
	recovery    bool  // it says that it is a replica
	seen        int64 // by a read: the newest row that was there
	wrote       int64 // by a write: its row
}

// A caller is a client that reads or writes through one proxy, again and again.
type caller struct {
	dial  func(ctx context.Context) (asker, error)
	write bool
	retry time.Duration // how soon a failed write is tried again
	rows  *atomic.Int64 // numbers the rows of all writers

	mu    sync.Mutex // guards tries
	tries []try
}

// run calls until the context is done. A writer keeps its connection as long as it
// lives; a reader opens one for each read, to see where a new one leads.
func (c *caller) run(ctx context.Context) {
	var conn asker
	defer func() {
		if conn != nil {
			conn.close()
		}
	}()
	for ctx.Err() == nil {
		one := try{began: time.Now()}
		if conn == nil {
			dialing, cancel := context.WithTimeout(ctx, attemptTimeout)
			conn, one.err = c.dial(dialing)
			cancel()
		}
		if one.err == nil {
			c.ask(conn, &one)
		}
		one.done = time.Now()
		if ctx.Err() != nil {
			return
		}
		c.mu.Lock()
		c.tries = append(c.tries, one)
		c.mu.Unlock()
		_, lost := errors.AsType[*lostError](one.err)
		if conn != nil && (lost || !c.write) {
			conn.close()
			conn = nil
		}
		pause := writeEvery
		switch {
		case !c.write:
			pause = readEvery
		case one.err != nil:
			pause = c.retry
		}
		select {
		case <-time.After(time.Until(one.began.Add(pause))):
		case <-ctx.Done():
		}
	}
}

func (c *caller) ask(conn asker, one *try) {
	if c.write {
		one.wrote = c.rows.Add(1)
		var got string
		if got, one.err = conn.ask(fmt.Sprintf("insert into writes values (%d) returning inet_server_port()", one.wrote)); one.err == nil {
			one.port, one.err = strconv.Atoi(got[strings.LastIndexByte(got, '\n')+1:])
		}
		return
	}
	var got string
	if got, one.err = conn.ask("select place()"); one.err == nil {
		columns := strings.Split(got[strings.LastIndexByte(got, '\n')+1:], "|")
		if len(columns) != 3 {
			one.err = fmt.Errorf("unexpected answer %q", got)
			return
		}
		one.recovery = columns[0] == "t"
		one.port, _ = strconv.Atoi(columns[1])
		one.seen, _ = strconv.ParseInt(columns[2], 10, 64)
	}
}

// placeFunction is what a reader asks for. It is declared stable although it is not:
// Pgpool-II sends what might write to the primary.
const placeFunction = `create function place() returns text stable language sql as $$
	select concat_ws('|', pg_is_in_recovery(), inet_server_port(), (select coalesce(max(n), 0) from writes)) $$`

// between returns the tries from the last success before a moment to the first success
// after another one.
func (c *caller) between(from, to time.Time) []try {
	c.mu.Lock()
	defer c.mu.Unlock()
	first, last := 0, len(c.tries)
	for i, one := range c.tries {
		if one.err != nil {
			continue
		}
		if one.done.Before(from) {
			first = i
		}
		if one.done.After(to) {
			last = i + 1
			break
		}
	}
	return append([]try(nil), c.tries[first:last]...)
}

// succeeded is when a try last succeeded after a moment, at another port than that; zero
// if none has.
func (c *caller) succeeded(after time.Time, not int) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := len(c.tries) - 1; i >= 0; i-- {
		if one := c.tries[i]; !one.done.After(after) {
			break
		} else if one.err == nil && one.port != not {
			return one.done
		}
	}
	return time.Time{}
}

// observed is what a client saw of an event.
type observed struct {
	gap    time.Duration // the longest between two successes
	last   time.Time     // the success before that gap
	back   time.Time     // the success that ended it
	never  bool          // it had not ended when the event was over
	failed int
	errors map[string]int

	// Of reads.
	stale   int           // that lack a row which was committed staleAfter before
	oldest  time.Duration // by how much at most
	primary int           // answered by a primary
	wrong   int           // answered by the member that must not be read from
}

// observe sums up what a client saw between two moments. The acknowledged rows tell what
// a read must have seen.
func (c *caller) observe(from, to time.Time, acknowledged []try, forbidden int) observed {
	o := observed{errors: map[string]int{}}
	tries := c.between(from, to)
	var last time.Time
	acked := 0
	for _, one := range tries {
		if one.err != nil {
			o.failed++
			o.errors[briefly(one.err)]++
			continue
		}
		if gap := one.done.Sub(last); !last.IsZero() && gap > o.gap {
			o.gap, o.last, o.back = gap, last, one.done
		}
		last = one.done
		if c.write || one.began.Before(from) {
			continue
		}
		if !one.recovery {
			o.primary++
		}
		if one.port == forbidden {
			o.wrong++
		}
		for acked < len(acknowledged) && acknowledged[acked].wrote <= one.seen {
			acked++
		}
		// The next replica may be behind the one before.
		for acked > 0 && acknowledged[acked-1].wrote > one.seen {
			acked--
		}
		if acked < len(acknowledged) {
			if age := one.began.Sub(acknowledged[acked].done); age > staleAfter {
				o.stale++
				o.oldest = max(o.oldest, age)
			}
		}
	}
	if !last.IsZero() && !last.After(to) && to.Sub(last) > o.gap && to.Sub(last) > time.Second {
		o.gap, o.last, o.back, o.never = to.Sub(last), last, to, true
	}
	return o
}

// briefly is an error of a client without what differs from one to the next.
func briefly(err error) string {
	text := err.Error()
	for _, known := range []string{"refused", "SQLSTATE 25006", "server_login_retry", "server conn crashed", "server closed", "unexpected EOF", "reset by peer", "deadline exceeded", "terminating connection"} {
		if strings.Contains(text, known) {
			return known
		}
	}
	if i := strings.Index(text, "SQLSTATE "); i >= 0 && len(text) >= i+14 {
		return text[i : i+14]
	}
	text, _, _ = strings.Cut(text, "\n")
	if i := strings.LastIndex(text, ": "); i >= 0 {
		text = text[i+2:]
	}
	return text
}
