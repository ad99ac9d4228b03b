package faults

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"pc4patroni/backends/etcd/etcdtest"
	"pc4patroni/internal/proctest"
)

// TestClockSteps sets the wall clock of the running program back and forward, as NTP does
// on a machine that started with a wrong one: nothing waits for the old time to come
// again, and nobody looks stuck.
func TestClockSteps(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program with another clock: not with -short")
	}
	t.Parallel()
	clock := proctest.NewClock(t)
	for name, test := range map[string]func(*testing.T, *host, *manager){
		"back": func(t *testing.T, h *host, _ *manager) {
			clock.Step(t, -2*time.Hour)
			if err := os.WriteFile(h.Dest("main"), []byte("by hand\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			h.AwaitFile("main", proctest.Db1)
			h.Put("/leader", "db2")
			h.AwaitTold("main", proctest.Db2)
		},
		"forward while a reload takes its time": func(t *testing.T, h *host, m *manager) {
			proctest.Write(t, "", h.Dir, "slow")
			h.Put("/leader", "db2")
			h.AwaitFile("main", proctest.Db2)
			clock.Step(t, 2*time.Hour)
			m.await("WATCHDOG=1", m.count("WATCHDOG=1")+5)
			if h.Told("main")[0] != proctest.Db1 || len(h.Told("main")) != 1 {
				t.Error("systemd heard nothing until the reload had ended")
			}
			h.AwaitTold("main", proctest.Db2)
			h.Logged("workers=[", 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := etcdtest.Start(t)
			h := newHost(t, proctest.DialEtcd(t, server.URL()), server.URL())
			h.Program = clock.Program
			h.Declare(proctest.Declared{Name: "main", Reload: "test ! -e " + filepath.Join(h.Dir, "slow") + " || sleep 8; " + h.Record("main")})
			h.Put(proctest.Led("db1")...)
			m := newManager(t, h.Dir, nil)
			h.startUnder(m, time.Second, "-interval", "2s")
			h.AwaitTold("main", proctest.Db1)
			test(t, h, m)
			h.Stop()
		})
	}
}
