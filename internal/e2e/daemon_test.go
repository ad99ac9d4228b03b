package e2e

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"pc4patroni/internal/proctest"
)

// testDaemonFollows leaves everything to the daemon: it writes PgBouncer's file, sees
// one switchover and one primary die, and PgBouncer leads to the new one each time.
func testDaemonFollows(t *testing.T, c *cluster) {
	proctest.Need(t, "pgbouncer", "psql")
	dir := proctest.WorkDir(t)
	p := adoptPgBouncer(t, dir, dir, nil)
	daemon := proctest.Launch(t, dir, "pc4patroni", proctest.Account{}, nil, proctest.Binary(t), "-confdir", dir, "-node", c.etcd.url)
	proctest.Eventually(t, 10*time.Second, "the daemon has applied the resource", func() error {
		if err := daemon.Running(); err != nil {
			return err
		}
		if count(t, p.reloads) == 0 {
			return fmt.Errorf("no reload yet")
		}
		return nil
	})
	p.start(t)
	leads := func(n *node, within time.Duration) {
		t.Helper()
		proctest.Eventually(t, within, "PgBouncer leads to "+n.Name, func() error { return n.answers(t, as(p.port, "app")) })
	}
	old := c.primary(t)
	leads(old, 10*time.Second)

	n := c.switchover(t)
	// Patroni has long been done when the switchover returns, and so has the daemon.
	leads(n, 5*time.Second)

	n.crash(t)
	// The lock is free when it has expired, 20 seconds after the last heartbeat.
	proctest.Eventually(t, time.Minute, "somebody else leads", func() error {
		if leader := c.key(t, "leader"); leader == "" || leader == n.Name {
			return fmt.Errorf("the leader is %q", leader)
		}
		return nil
	})
	leads(c.primary(t), 20*time.Second)

	before := proctest.Read(t, p.ini)
	daemon.Signal(t, syscall.SIGTERM)
	proctest.Eventually(t, 10*time.Second, "the daemon ends", func() error {
		if daemon.Running() == nil {
			return fmt.Errorf("it still runs")
		}
		return nil
	})
	if code := daemon.Cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("after SIGTERM the daemon's exit status is %d, want 0", code)
	}
	if proctest.Read(t, p.ini) != before {
		t.Error("the file changed when the daemon ended")
	}
}
