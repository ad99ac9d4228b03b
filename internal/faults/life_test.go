package faults

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"pc4patroni/internal/proctest"
)

// The faults in this file are changes of the configuration under the running program.

// faultHangupNew adds a resource; the one that is there is not disturbed.
func faultHangupNew(t *testing.T, h *host) {
	h.Declare(proctest.Declared{Name: "old"})
	h.Put(proctest.Led("db1")...)
	h.Start()
	h.AwaitTold("old", proctest.Db1)
	h.Declare(proctest.Declared{Name: "new"})
	h.Run.Signal(t, syscall.SIGHUP)
	h.AwaitTold("new", proctest.Db1)
	h.Put("/leader", "db2")
	h.AwaitTold("new", proctest.Db2)
	h.AwaitTold("old", proctest.Db2)
	h.Stop()
	h.ToldExactly("old", proctest.Db1, proctest.Db2)
	h.ToldExactly("new", proctest.Db1, proctest.Db2)
}

// faultHangupRemoved takes a resource away: its file stays, and is not kept true any more.
func faultHangupRemoved(t *testing.T, h *host) {
	h.Declare(proctest.Declared{Name: "stays"})
	h.Declare(proctest.Declared{Name: "goes"})
	h.Put(proctest.Led("db1")...)
	h.Start()
	h.AwaitTold("stays", proctest.Db1)
	h.AwaitTold("goes", proctest.Db1)
	if err := os.Remove(filepath.Join(h.Dir, "conf.d", "goes.toml")); err != nil {
		t.Fatal(err)
	}
	// The new one shows that the signal was handled.
	h.Declare(proctest.Declared{Name: "comes"})
	h.Run.Signal(t, syscall.SIGHUP)
	h.AwaitTold("comes", proctest.Db1)
	h.Put("/leader", "db2")
	h.AwaitTold("stays", proctest.Db2)
	h.AwaitTold("comes", proctest.Db2)
	h.Stop()
	h.ToldExactly("stays", proctest.Db1, proctest.Db2)
	h.ToldExactly("goes", proctest.Db1)
	h.FileIs(h.Dest("goes"), proctest.Db1+"\n")
}

// faultHangupBroken breaks one resource, and then the whole configuration: what ran goes on
// as it was, and the user is told.
func faultHangupBroken(t *testing.T, h *host) {
	h.Declare(proctest.Declared{Name: "a"})
	h.Declare(proctest.Declared{Name: "b"})
	h.Put(proctest.Led("db1")...)
	h.Start()
	h.AwaitTold("a", proctest.Db1)
	h.AwaitTold("b", proctest.Db1)
	proctest.Write(t, "{{range}}\n", h.Dir, "templates", "a.tmpl")
	proctest.Write(t, "changed {{getv \"/leader\"}}\n", h.Dir, "templates", "b.tmpl")
	h.Run.Signal(t, syscall.SIGHUP)
	h.AwaitTold("b", "changed db1")
	h.AwaitLog("a.tmpl: line 1", 1)
	h.Put("/leader", "db2")
	h.AwaitTold("a", proctest.Db2)
	h.AwaitTold("b", "changed db2")

	proctest.Write(t, "intervall = 5\n", h.Dir, "pc4patroni.toml")
	proctest.Write(t, "not to be seen\n", h.Dir, "templates", "b.tmpl")
	h.Run.Signal(t, syscall.SIGHUP)
	h.AwaitLog("intervall", 1)
	h.Put("/leader", "db1")
	h.AwaitTold("a", proctest.Db1)
	h.AwaitTold("b", "changed db1")
	h.Stop()
	h.ToldExactly("a", proctest.Db1, proctest.Db2, proctest.Db1)
	h.ToldExactly("b", proctest.Db1, "changed db1", "changed db2", "changed db1")
}

// faultHangupTemplate changes a template and nothing else: that one file is rendered anew,
// and its proxy reloads once.
func faultHangupTemplate(t *testing.T, h *host) {
	h.Declare(proctest.Declared{Name: "a"})
	h.Declare(proctest.Declared{Name: "b"})
	h.Put(proctest.Led("db1")...)
	h.Start()
	h.AwaitTold("a", proctest.Db1)
	h.AwaitTold("b", proctest.Db1)
	proctest.Write(t, "now {{getv \"/leader\"}}\n", h.Dir, "templates", "a.tmpl")
	h.Run.Signal(t, syscall.SIGHUP)
	h.AwaitTold("a", "now db1")
	h.Put("/leader", "db2")
	h.AwaitTold("a", "now db2")
	h.AwaitTold("b", proctest.Db2)
	h.Stop()
	h.ToldExactly("a", proctest.Db1, "now db1", "now db2")
	h.ToldExactly("b", proctest.Db1, proctest.Db2)
}
