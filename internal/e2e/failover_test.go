package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"pc4patroni/internal/proctest"
)

var (
	failovers      = flag.Int("failovers", 0, "rounds of TestFailoverTable; none skips it")
	failoverRetry  = flag.Duration("failovers.retry", 25*time.Millisecond, "how soon the clients of TestFailoverTable try a failed write again")
	failoverEvents = flag.String("failovers.events", "", "only the events of TestFailoverTable that contain one of these, separated by commas")
	failoverLanes  = flag.String("failovers.lanes", "", "only the proxies of TestFailoverTable that contain one of these, separated by commas")
)

// wanted tells whether a name contains one of the texts in a list.
func wanted(name, list string) bool {
	return list == "" || slices.ContainsFunc(strings.Split(list, ","), func(text string) bool {
		return strings.Contains(strings.ToLower(name), strings.ToLower(text))
	})
}

// measurement is one event of one round, through one proxy.
type measurement struct {
	writes, reads observed
	beyond        time.Duration // the first write after the gap, after that of the floor
	reload        time.Duration // of the daemon: event of etcd to reload done
	reloadedAt    time.Duration // reload done, after the lock was taken
	backAt        time.Duration // the first write after the gap, after the lock was taken
}

// TestFailoverTable has a real cluster go through what happens to clusters, with a client
// that writes and one that reads through every proxy at once, and prints what each saw.
//
//	go test ./internal/e2e -run TestFailoverTable -failovers 5 -timeout 60m -v
func TestFailoverTable(t *testing.T) {
	if *failovers == 0 {
		t.Skip("takes minutes: run with -failovers ROUNDS")
	}
	proctest.Need(t, "haproxy", "pgbouncer", "pgpool", "nginx", "socat")
	proctest.NeedRoot(t, "run HAProxy with the sample, which gives root up by itself")
	c := startPatroni(t, "batman")
	// A node that is added begins with a checkpoint, which must not be spread over minutes.
	c.configure(t, `{"ttl": 20, "loop_wait": 5, "retry_timeout": 5, "postgresql": {"parameters": {"checkpoint_completion_target": 0}}}`)
	setUp := fmt.Sprintf("host=127.0.0.1 port=%d user=postgres dbname=app", c.primary(t).PG)
	for _, statement := range []string{"create table writes (n bigint primary key)", placeFunction} {
		if _, err := query(t, setUp, statement); err != nil {
			t.Fatal(err)
		}
	}
	locks := followLocks(t, c)

	l := &lanes{t: t, c: c, dir: proctest.WorkDir(t)}
	l.setPorts()
	l.addDirect()
	for _, one := range []struct {
		name string
		add  func()
	}{
		{"HAProxy", l.addHAProxy},
		{"HAProxy, runtime socket", func() { l.addRuntimeHAProxy(false) }},
		{"HAProxy, the same by reload", func() { l.addRuntimeHAProxy(true) }},
		{"HAProxy, confd's settings", func() { l.addConfdHAProxy(true) }},
		{"HAProxy alone", func() { l.addConfdHAProxy(false) }},
		{"PgBouncer, session", func() { l.addPgBouncer("session") }},
		{"PgBouncer, transaction", func() { l.addPgBouncer("transaction") }},
		{"PgBouncer, confd's settings", l.addConfdPgBouncer},
		{"Pgpool-II", l.addPgpool},
		{"nginx", l.addNginx},
		{"libpq", l.addLibpq},
	} {
		if wanted(one.name, *failoverLanes) {
			one.add()
		}
	}
	stop := l.start()
	defer stop()
	time.Sleep(settle)

	results := map[string]map[string][]measurement{}
	// Also of a run that was cut short.
	defer func() {
		out := table(l, results)
		fmt.Println(out)
		if path := os.Getenv("PC4PATRONI_FAILOVER_TABLE"); path != "" {
			proctest.Write(t, out, path)
		}
	}()
	for round := range *failovers {
		for _, e := range allFailovers {
			if !wanted(e.name, *failoverEvents) {
				continue
			}
			c.awaitHealthy(t)
			l.awaitAll(t)
			began := time.Now()
			forbidden := e.run(t, l)
			ended := time.Now()
			if e.after != nil {
				e.after(t, l)
			}
			if results[e.name] == nil {
				results[e.name] = map[string][]measurement{}
			}
			load, _ := os.ReadFile("/proc/loadavg")
			t.Logf("load of %d processors: %s", runtime.NumCPU(), bytes.TrimSpace(load))
			l.measure(t, e.name, round+1, began, ended, forbidden, locks, results[e.name])
		}
	}
}

// awaitAll waits until every client writes and reads, or for a minute: one that does not
// is a result, too.
func (l *lanes) awaitAll(t *testing.T) {
	t.Helper()
	since := time.Now()
	for _, one := range l.all {
		for _, c := range []*caller{one.writes, one.reads} {
			for c.dial != nil && c.succeeded(since, 0).IsZero() {
				if time.Since(since) > time.Minute {
					t.Errorf("%s: nothing succeeds a minute after everybody was healthy: %v", one.name, c.lastError())
					break
				}
				time.Sleep(50 * time.Millisecond)
			}
		}
	}
	// So that the next gap is not the end of this one.
	time.Sleep(time.Second)
}

func (c *caller) lastError() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := len(c.tries) - 1; i >= 0; i-- {
		if c.tries[i].err != nil {
			return c.tries[i].err
		}
	}
	return nil
}

// measure sums an event up.
func (l *lanes) measure(t *testing.T, name string, round int, began, ended time.Time, forbidden int, locks *lockTimes, into map[string][]measurement) {
	t.Helper()
	acknowledged := l.directWrites()
	bottom := (&caller{write: true, tries: acknowledged}).observe(began, ended, nil, 0)
	locked := locks.after(began)
	since := func(at time.Time) string { return fmt.Sprintf("%+d ms", at.Sub(locked).Milliseconds()) }
	t.Logf("round %d, %s: the floor's gap is %d ms: last write %s, first %s after the lock was taken", round, name, bottom.gap.Milliseconds(), since(bottom.last), since(bottom.back))
	for _, one := range l.all {
		m := measurement{writes: bottom}
		if one.name != floor {
			m.writes = one.writes.observe(began, ended, nil, 0)
			m.beyond = m.writes.gap - bottom.gap
			if bottom.gap > 500*time.Millisecond {
				m.beyond = m.writes.back.Sub(bottom.back)
			}
		}
		m.backAt = m.writes.back.Sub(locked)
		if one.reads.dial != nil {
			m.reads = one.reads.observe(began, ended, acknowledged, forbidden)
		}
		reloads := ""
		for _, r := range reloadsOf(t, one.log, began, ended) {
			reloads += fmt.Sprintf(" %s (%d ms after its event)", since(r.Time), r.After.Milliseconds())
			if m.reload == 0 && r.Time.After(locked) {
				m.reload, m.reloadedAt = r.After, r.Time.Sub(locked)
			}
		}
		t.Logf("  %s: writes: gap %d ms, back %s, %d failed %v; reads: gap %d ms, %d failed %v, %d stale by %d ms, %d by a primary, %d wrong; reloaded%s", one.name,
			m.writes.gap.Milliseconds(), since(m.writes.back), m.writes.failed, m.writes.errors,
			m.reads.gap.Milliseconds(), m.reads.failed, m.reads.errors, m.reads.stale, m.reads.oldest.Milliseconds(), m.reads.primary, m.reads.wrong, reloads)
		into[one.name] = append(into[one.name], m)
	}
}

// reloadsOf are those in a daemon's log between two moments.
func reloadsOf(t *testing.T, log string, from, to time.Time) []reload {
	t.Helper()
	if log == "" {
		return nil
	}
	var all []reload
	for line := range bytes.Lines([]byte(proctest.Read(t, log))) {
		var r reload
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("%s: %v in %s", filepath.Base(log), err, line)
		}
		if r.Msg == "reloaded" && r.Time.After(from) && r.Time.Before(to) {
			all = append(all, r)
		}
	}
	return all
}

// lockTimes is when the leader lock was taken, as etcd told a watcher.
type lockTimes struct {
	mu    sync.Mutex
	taken []time.Time
}

func followLocks(t *testing.T, c *cluster) *lockTimes {
	t.Helper()
	locks := &lockTimes{}
	client := c.etcd.client(t, nil, "", "")
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		for answer := range client.Watch(ctx, "/service/"+c.scope+"/leader") {
			for _, e := range answer.Events {
				if e.IsCreate() && e.Type == clientv3.EventTypePut {
					locks.mu.Lock()
					locks.taken = append(locks.taken, time.Now())
					locks.mu.Unlock()
				}
			}
		}
	})
	t.Cleanup(func() { cancel(); group.Wait() })
	return locks
}

// after is when the lock was first taken after a moment, or that moment if it was not.
func (l *lockTimes) after(moment time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, at := range l.taken {
		if at.After(moment) {
			return at
		}
	}
	return moment
}

// table is the result in Markdown.
func table(l *lanes, results map[string]map[string][]measurement) string {
	var b strings.Builder
	for _, e := range allFailovers {
		of := results[e.name]
		if of == nil {
			continue
		}
		fmt.Fprintf(&b, "\n### %s, %d rounds\n\n", e.name, len(of[floor]))
		fmt.Fprintln(&b, "| through | writes: gap, ms | after the floor, ms | failed | reads: gap, ms | failed | stale | by a primary | must not |")
		fmt.Fprintln(&b, "| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
		for _, one := range l.all {
			all := of[one.name]
			reads := func(of func(observed) int) string {
				if one.reads.dial == nil {
					return "–"
				}
				return spread(all, func(m measurement) int { return of(m.reads) })
			}
			beyond := spread(all, func(m measurement) int { return int(m.beyond.Milliseconds()) })
			if one.name == floor {
				beyond = "0"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", one.name,
				spread(all, func(m measurement) int { return int(m.writes.gap.Milliseconds()) }), beyond,
				spread(all, func(m measurement) int { return m.writes.failed }),
				reads(func(o observed) int { return int(o.gap.Milliseconds()) }), reads(func(o observed) int { return o.failed }),
				reads(func(o observed) int { return o.stale }), reads(func(o observed) int { return o.primary }), reads(func(o observed) int { return o.wrong }))
		}
		kinds := map[string]int{}
		for _, one := range l.all {
			for _, m := range of[one.name] {
				for kind, n := range m.writes.errors {
					kinds[kind] += n
				}
			}
		}
		if len(kinds) > 0 {
			fmt.Fprintf(&b, "\nErrors of writers: %v\n", slices.Sorted(maps.Keys(kinds)))
		}
	}
	return b.String()
}

// spread is the median and, in brackets, the greatest of a figure.
func spread(all []measurement, of func(measurement) int) string {
	var figures []int
	for _, m := range all {
		figures = append(figures, of(m))
	}
	slices.Sort(figures)
	if len(figures) == 0 {
		return "–"
	}
	median, greatest := figures[len(figures)/2], figures[len(figures)-1]
	if len(figures) == 1 || median == greatest {
		return fmt.Sprint(greatest)
	}
	return fmt.Sprintf("%d (%d)", median, greatest)
}
