package main_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// testDaemonFollows leaves everything to the daemon: it writes PgBouncer's file, sees
// one switchover and one primary die, and PgBouncer leads to the new one each time.
func testDaemonFollows(t *testing.T, c *cluster) {
	need(t, "pgbouncer", "psql")
	dir := workDir(t)
	p := adoptPgBouncer(t, dir, dir, nil)
	daemon := launch(t, dir, "pc4patroni", account{}, nil, binary(t), "-confdir", dir, "-node", c.etcd.url)
	eventually(t, 10*time.Second, "the daemon has applied the resource", func() error {
		if err := daemon.running(); err != nil {
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
		eventually(t, within, "PgBouncer leads to "+n.Name, func() error { return n.answers(t, as(p.port, "app")) })
	}
	old := c.primary(t)
	leads(old, 10*time.Second)

	n := c.switchover(t)
	// Patroni has long been done when the switchover returns, and so has the daemon.
	leads(n, 5*time.Second)

	n.crash(t)
	// The lock is free when it has expired, 20 seconds after the last heartbeat.
	eventually(t, time.Minute, "somebody else leads", func() error {
		if leader := c.key(t, "leader"); leader == "" || leader == n.Name {
			return fmt.Errorf("the leader is %q", leader)
		}
		return nil
	})
	leads(c.primary(t), 20*time.Second)

	before := read(t, p.ini)
	daemon.signal(t, syscall.SIGTERM)
	eventually(t, 10*time.Second, "the daemon ends", func() error {
		if daemon.running() == nil {
			return fmt.Errorf("it still runs")
		}
		return nil
	})
	if code := daemon.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("after SIGTERM the daemon's exit status is %d, want 0", code)
	}
	if read(t, p.ini) != before {
		t.Error("the file changed when the daemon ended")
	}
}
