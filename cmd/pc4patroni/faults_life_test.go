package main_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// The faults in this file are changes of the configuration under the running program.

// faultHangupNew adds a resource; the one that is there is not disturbed.
func faultHangupNew(t *testing.T, h *host) {
	h.declare(declared{name: "old"})
	h.put(led("db1")...)
	h.start()
	h.awaitTold("old", db1)
	h.declare(declared{name: "new"})
	h.run.signal(t, syscall.SIGHUP)
	h.awaitTold("new", db1)
	h.put("/leader", "db2")
	h.awaitTold("new", db2)
	h.awaitTold("old", db2)
	h.stop()
	h.toldExactly("old", db1, db2)
	h.toldExactly("new", db1, db2)
}

// faultHangupRemoved takes a resource away: its file stays, and is not kept true any more.
func faultHangupRemoved(t *testing.T, h *host) {
	h.declare(declared{name: "stays"})
	h.declare(declared{name: "goes"})
	h.put(led("db1")...)
	h.start()
	h.awaitTold("stays", db1)
	h.awaitTold("goes", db1)
	if err := os.Remove(filepath.Join(h.dir, "conf.d", "goes.toml")); err != nil {
		t.Fatal(err)
	}
	// The new one shows that the signal was handled.
	h.declare(declared{name: "comes"})
	h.run.signal(t, syscall.SIGHUP)
	h.awaitTold("comes", db1)
	h.put("/leader", "db2")
	h.awaitTold("stays", db2)
	h.awaitTold("comes", db2)
	h.stop()
	h.toldExactly("stays", db1, db2)
	h.toldExactly("goes", db1)
	h.fileIs(h.dest("goes"), db1+"\n")
}

// faultHangupBroken breaks one resource, and then the whole configuration: what ran goes on
// as it was, and the user is told.
func faultHangupBroken(t *testing.T, h *host) {
	h.declare(declared{name: "a"})
	h.declare(declared{name: "b"})
	h.put(led("db1")...)
	h.start()
	h.awaitTold("a", db1)
	h.awaitTold("b", db1)
	write(t, "{{range}}\n", h.dir, "templates", "a.tmpl")
	write(t, "changed {{getv \"/leader\"}}\n", h.dir, "templates", "b.tmpl")
	h.run.signal(t, syscall.SIGHUP)
	h.awaitTold("b", "changed db1")
	h.awaitLog("a.tmpl: line 1", 1)
	h.put("/leader", "db2")
	h.awaitTold("a", db2)
	h.awaitTold("b", "changed db2")

	write(t, "intervall = 5\n", h.dir, "pc4patroni.toml")
	write(t, "not to be seen\n", h.dir, "templates", "b.tmpl")
	h.run.signal(t, syscall.SIGHUP)
	h.awaitLog("intervall", 1)
	h.put("/leader", "db1")
	h.awaitTold("a", db1)
	h.awaitTold("b", "changed db1")
	h.stop()
	h.toldExactly("a", db1, db2, db1)
	h.toldExactly("b", db1, "changed db1", "changed db2", "changed db1")
}

// faultHangupTemplate changes a template and nothing else: that one file is rendered anew,
// and its proxy reloads once.
func faultHangupTemplate(t *testing.T, h *host) {
	h.declare(declared{name: "a"})
	h.declare(declared{name: "b"})
	h.put(led("db1")...)
	h.start()
	h.awaitTold("a", db1)
	h.awaitTold("b", db1)
	write(t, "now {{getv \"/leader\"}}\n", h.dir, "templates", "a.tmpl")
	h.run.signal(t, syscall.SIGHUP)
	h.awaitTold("a", "now db1")
	h.put("/leader", "db2")
	h.awaitTold("a", "now db2")
	h.awaitTold("b", db2)
	h.stop()
	h.toldExactly("a", db1, "now db1", "now db2")
	h.toldExactly("b", db1, db2)
}
