package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pc4patroni/internal/proctest"
)

// follower is a proxy host: the daemon, PgBouncer with the sample, and a client that
// writes through it all the time.
type follower struct {
	function string // of the templates, that names the target of writes
	p        *pgbouncer
	log      string // of the daemon, in JSON

	mu     sync.Mutex // guards what follows
	writes []attempt
}

// attempt is one write of the client: where it went, or why it failed.
type attempt struct {
	at   time.Time // when the answer came
	port int
	err  string
}

// startFollower brings a proxy host up and has its client write until the test is over.
func startFollower(t *testing.T, c *cluster, function string) *follower {
	t.Helper()
	dir := proctest.WorkDir(t)
	more := edits{}
	if function != "primary" {
		more["or standbyLeader primary"] = "or standbyLeader " + function
	}
	f := &follower{function: function, p: adoptPgBouncer(t, dir, dir, more)}
	daemon := proctest.Launch(t, dir, "daemon-"+function, proctest.Account{}, nil, proctest.Binary(t), "-confdir", dir, "-node", c.etcd.url, "-log-format", "json")
	f.log = daemon.Log
	proctest.Eventually(t, 20*time.Second, "the daemon has written the file", func() error {
		if err := daemon.Running(); err != nil {
			return err
		}
		_, err := os.Stat(f.p.ini)
		return err
	})
	f.p.start(t)
	proctest.Eventually(t, 20*time.Second, "PgBouncer leads to the primary", func() error {
		return c.primary(t).answers(t, as(f.p.port, "app"))
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); f.write(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return f
}

// write is the client: an application that opens a connection, writes, and opens another
// connection when it has lost one. It never waits longer than the next tick.
func (f *follower) write(ctx context.Context) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var s *session
	defer func() {
		if s != nil {
			s.close()
		}
	}()
	for ctx.Err() == nil {
		var err error
		if s == nil {
			s, err = openSession(ctx, as(f.p.port, "app"))
		}
		got := ""
		if err == nil {
			got, err = s.ask("insert into writes values (now()) returning inet_server_port()")
		}
		if ctx.Err() != nil {
			return
		}
		one := attempt{at: time.Now()}
		if err != nil {
			one.err = err.Error()
		} else if one.port, err = strconv.Atoi(got[strings.LastIndexByte(got, '\n')+1:]); err != nil {
			one.err = "unexpected answer " + got
		}
		f.mu.Lock()
		f.writes = append(f.writes, one)
		f.mu.Unlock()
		if _, lost := errors.AsType[*lostError](err); lost && s != nil {
			s.close()
			s = nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// outage is what the client noticed of a change of the primary.
type outage struct {
	gap    time.Duration // from the last write on the old to the first on the new primary
	back   time.Time     // when that first write was answered
	errors map[string]int
}

// outage waits for the client to write to the new primary. ok tells that it did.
func (f *follower) outage(since time.Time, from, to *node) (o outage, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o.errors = map[string]int{}
	var last time.Time
	for _, w := range f.writes {
		switch {
		case w.err != "" && w.at.After(since):
			o.errors[brief(w.err)]++
		case w.port == from.PG:
			last = w.at
		case w.port == to.PG && w.at.After(since):
			o.gap, o.back = w.at.Sub(last), w.at
			return o, true
		}
	}
	return o, false
}

// brief is an error without the addresses in it.
func brief(err string) string {
	for _, known := range []string{"Connection refused", "server_login_retry", "SQLSTATE", "server conn crashed", "query_wait_timeout"} {
		if i := strings.Index(err, known); i >= 0 {
			return strings.TrimSpace(err[i:min(len(err), i+max(len(known), len("SQLSTATE 25006")))])
		}
	}
	return err
}

// reload is one line of the daemon's log.
type reload struct {
	Time  time.Time
	Msg   string
	After time.Duration `json:"after_change"`
}

// reloads are those of the daemon since a moment.
func (f *follower) reloads(t *testing.T, since time.Time) []reload {
	t.Helper()
	var all []reload
	for line := range strings.Lines(proctest.Read(t, f.log)) {
		var r reload
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("the daemon's log: %v in %s", err, line)
		}
		if r.Msg == "reloaded" && !r.Time.Before(since) {
			all = append(all, r)
		}
	}
	return all
}

// testFollowed has two proxy hosts, one by primary and one by promoted, follow a
// switchover and a crash, and logs how long each step took. What it starts of the
// cluster stays until the end of the whole test.
func testFollowed(t, whole *testing.T, c *cluster, r *recording) {
	proctest.Need(t, "pgbouncer")
	c.sql(t, c.primary(t).PG, "create table promotions (at timestamptz)")
	if _, err := query(t, as(c.primary(t).PG, "app"), "create table writes (at timestamptz)"); err != nil {
		t.Fatal(err)
	}
	setCycle(t, c)
	hosts := []*follower{startFollower(t, c, "primary"), startFollower(t, c, "promoted")}
	var dead *node
	for range runs(t) {
		for _, change := range []struct {
			name string
			make func()
		}{
			{"switchover", func() { p := c.primary(t); c.handOver(t, p, c.other(p)) }},
			{"crash", func() { dead = c.crash(t) }},
		} {
			p := observe(t, c, r, change.make)
			after := func(at time.Time) string { return fmt.Sprintf("%+.0f ms", float64(at.Sub(p.locked))/1e6) }
			t.Logf("%s: lock free %s, recovery over %s, first write %s, promoted %s", change.name,
				after(p.unlocked), after(p.recovered), after(p.written), after(p.promoted))
			for _, f := range hosts {
				f.followed(t, c, p, change.name, after)
			}
			if dead == nil {
				c.awaitHealthy(t)
			} else {
				c.bringBack(whole, t, dead)
				dead = nil
			}
		}
	}
}

// followed sees to it that a proxy host has followed, and logs what its client noticed.
func (f *follower) followed(t *testing.T, c *cluster, p promotion, change string, after func(time.Time) string) {
	t.Helper()
	byName := func(name string) *node {
		i := slices.IndexFunc(c.nodes, func(n *node) bool { return n.Name == name })
		return c.nodes[i]
	}
	var o outage
	proctest.Eventually(t, 30*time.Second, "the client of "+f.function+" writes to the new primary", func() error {
		var ok bool
		if o, ok = f.outage(p.asked, byName(p.from), byName(p.to)); !ok {
			return fmt.Errorf("its errors are %v", o.errors)
		}
		return nil
	})
	trigger := p.locked
	if f.function == "promoted" {
		trigger = p.promoted
	}
	// The recording may learn of an event later than the daemon does.
	reloads := f.reloads(t, trigger.Add(-100*time.Millisecond))
	if len(reloads) == 0 {
		t.Fatalf("%s: the daemon of %s reloaded nothing", change, f.function)
	}
	first := reloads[0]
	if first.After <= 0 || first.After > 2*time.Second {
		t.Errorf("%s: from the event to the end of the reload it took %v", change, first.After)
	}
	var kinds []string
	for _, kind := range slices.Sorted(maps.Keys(o.errors)) {
		kinds = append(kinds, fmt.Sprintf("%dx %s", o.errors[kind], kind))
	}
	t.Logf("%s by %s: gap %.0f ms, of which event to reload %.1f ms; reloaded %s, client back %s; its errors: %s (%s)", change, f.function,
		float64(o.gap)/1e6, float64(first.After)/1e6, after(first.Time), after(o.back), strings.Join(kinds, ", "), filepath.Base(f.log))
}
