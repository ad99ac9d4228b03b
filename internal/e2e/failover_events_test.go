package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pc4patroni/internal/proctest"
)

// A failover is something that happens to the cluster.
type failover struct {
	name string
	// run has it happen, and returns when nothing more is expected of the proxies. What
	// is measured ends then.
	run func(t *testing.T, l *lanes) (forbidden int)
	// after makes the cluster whole again; nil where nothing is to be done.
	after func(t *testing.T, l *lanes)
}

// settle is how long after an event clients are still watched: HAProxy's checks need a
// few seconds to notice a change.
const settle = 8 * time.Second

var allFailovers = []failover{
	{name: "switchover", run: func(t *testing.T, l *lanes) int {
		p := l.c.primary(t)
		l.c.handOver(t, p, l.c.other(p))
		time.Sleep(settle)
		return 0
	}},
	{name: "crash of the primary", run: func(t *testing.T, l *lanes) int {
		began := time.Now()
		l.dead = l.c.crash(t)
		l.awaitWrites(t, began, l.dead.PG, time.Minute)
		time.Sleep(settle)
		return 0
	}, after: func(t *testing.T, l *lanes) { l.c.bringBack(t, t, l.dead) }},
	{name: "a replica dies and comes back", run: func(t *testing.T, l *lanes) int {
		n := l.c.other(l.c.primary(t))
		l.c.cutPower(t, n)
		// Until its key has expired, and some more.
		time.Sleep(25 * time.Second)
		l.c.bringBack(t, t, n)
		time.Sleep(settle)
		return 0
	}},
	{name: "a replica moves to another port", run: func(t *testing.T, l *lanes) int {
		l.move(t, l.c.other(l.c.primary(t)))
		time.Sleep(settle)
		return 0
	}},
	{name: "a replica with noloadbalance is added", run: func(t *testing.T, l *lanes) int {
		l.added = l.c.startNode(t, "pg4", "tags: {noloadbalance: true}\n")
		l.setPorts(l.added)
		proctest.Eventually(t, time.Minute, "the new node streams", func() error {
			if code, err := l.added.rest(t, "/health"); err != nil || code != http.StatusOK {
				return fmt.Errorf("/health: %d %v", code, err)
			}
			return nil
		})
		time.Sleep(settle)
		return l.added.PG
	}, after: func(t *testing.T, l *lanes) {
		l.added.Stop(t)
		stopPostgres(t, l.added.data)
		l.setPorts()
		proctest.Eventually(t, time.Minute, "the key of the node that was added expires", func() error {
			if value := l.c.key(t, "members/"+l.added.Name); value != "" {
				return fmt.Errorf("it is %s", value)
			}
			return nil
		})
		if err := os.RemoveAll(filepath.Dir(l.added.data)); err != nil {
			t.Fatal(err)
		}
	}},
	{name: "etcd is away for 15 s", run: func(t *testing.T, l *lanes) int {
		e := l.c.etcd
		e.Signal(t, syscall.SIGKILL)
		<-e.Done
		time.Sleep(15 * time.Second)
		back := time.Now()
		args := e.Cmd.Args
		e.Server = proctest.Launch(t, l.c.dir, fmt.Sprintf("etcd-%d", e.port), proctest.Account{}, nil, append([]string{"etcd"}, args[1:]...)...)
		l.awaitWrites(t, back, 0, time.Minute)
		time.Sleep(settle)
		return 0
	}},
	{name: "the whole cluster is restarted", run: func(t *testing.T, l *lanes) int {
		for _, n := range l.c.nodes {
			n.Signal(t, syscall.SIGTERM)
		}
		for _, n := range l.c.nodes {
			<-n.Done
		}
		back := time.Now()
		for _, n := range l.c.nodes {
			l.c.restart(t, n)
		}
		l.awaitWrites(t, back, 0, 2*time.Minute)
		time.Sleep(settle)
		return 0
	}},
}

// awaitWrites waits until a member other than the one at a port takes writes.
func (l *lanes) awaitWrites(t *testing.T, since time.Time, not int, within time.Duration) {
	t.Helper()
	proctest.Eventually(t, within, "the cluster takes writes", func() error {
		for _, one := range l.direct {
			if !one.writes.succeeded(since, not).IsZero() {
				return nil
			}
		}
		return fmt.Errorf("no member takes any")
	})
}

// directWrites are all writes to members that succeeded, in their order.
func (l *lanes) directWrites() []try {
	var all []try
	for _, one := range l.direct {
		one.writes.mu.Lock()
		for _, w := range one.writes.tries {
			if w.err == nil {
				all = append(all, w)
			}
		}
		one.writes.mu.Unlock()
	}
	slices.SortFunc(all, func(a, b try) int { return a.done.Compare(b.done) })
	return all
}

// move stops a replica and starts it at another port.
func (l *lanes) move(t *testing.T, n *node) {
	t.Helper()
	n.Signal(t, syscall.SIGTERM)
	<-n.Done
	port := proctest.FreePort(t)
	config := strings.ReplaceAll(proctest.Read(t, n.config), fmt.Sprintf("127.0.0.1:%d\n", n.PG), fmt.Sprintf("127.0.0.1:%d\n", port))
	proctest.Write(t, config, n.config)
	n.PG = port
	l.setPorts()
	l.c.restart(t, n)
	l.c.awaitHealthy(t)
}
