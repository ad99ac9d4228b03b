package faults

import (
	"fmt"
	"strconv"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"pc4patroni/internal/proctest"
)

// The faults in this file come with the keys themselves.

// faultLeaderChange is the everyday case: one change, one reload. Heartbeats in between
// touch nothing.
func faultLeaderChange(t *testing.T, h *host) {
	h.Declare(proctest.Declared{Name: "main"})
	h.Put(proctest.Led("db1")...)
	h.Start()
	h.AwaitTold("main", proctest.Db1)
	for position := range 3 {
		h.Put("/members/db1", proctest.MemberAt("10.0.0.1", 2000+position), "/members/db2", proctest.MemberAt("10.0.0.2", 2000+position),
			"/status", fmt.Sprintf(`{"optime":%d}`, 2000+position))
	}
	h.Put("/leader", "db2")
	h.AwaitTold("main", proctest.Db2)
	// All that came before the fence was seen when its effect is seen.
	h.Put("/members/db1", proctest.MemberAt("10.0.0.1", 3000), "/fence", "1")
	h.AwaitTold("main", "db2 10.0.0.2:5432 1")
	h.Stop()
	h.ToldExactly("main", proctest.Db1, proctest.Db2, "db2 10.0.0.2:5432 1")
	h.Logged(`msg="file installed"`, 3)
}

// faultLeaderDeleted has the lock given up and taken again by the same member: nothing
// has changed for the proxy.
func faultLeaderDeleted(t *testing.T, h *host) {
	h.Declare(proctest.Declared{Name: "main"})
	h.Put(proctest.Led("db1")...)
	h.Start()
	h.AwaitTold("main", proctest.Db1)
	h.Delete("/leader")
	h.AwaitLog("resource held", 1)
	h.Put("/members/db1", proctest.MemberAt("10.0.0.1", 2000), "/members/db2", proctest.MemberAt("10.0.0.2", 2000))
	h.FileIs(h.Dest("main"), proctest.Db1+"\n")
	h.Put("/leader", "db1")
	h.AwaitLog("resource recovered", 1)
	h.Put("/leader", "db2")
	h.AwaitTold("main", proctest.Db2)
	h.Stop()
	h.ToldExactly("main", proctest.Db1, proctest.Db2)
	h.Logged("resource held", 1)
}

// faultLeaderUnknown has a leader without a member key, as when the key's lease ran out.
func faultLeaderUnknown(t *testing.T, h *host) {
	h.Declare(proctest.Declared{Name: "main"})
	h.Put(proctest.Led("db1")...)
	h.Start()
	h.AwaitTold("main", proctest.Db1)
	h.Put("/leader", "db3")
	h.AwaitLog("resource held", 1)
	h.Put("/members/db1", proctest.MemberAt("10.0.0.1", 2000))
	h.FileIs(h.Dest("main"), proctest.Db1+"\n")
	h.Put("/members/db3", proctest.MemberAt("10.0.0.3", 2000))
	h.AwaitTold("main", "db3 10.0.0.3:5432 -")
	h.Stop()
	h.ToldExactly("main", proctest.Db1, "db3 10.0.0.3:5432 -")
	h.Logged("resource held", 1)
}

// faultManyKeys has more keys than etcd should be asked for in one answer.
func faultManyKeys(t *testing.T, h *host) {
	const keys, perTxn = 20_000, 100
	h.Declare(proctest.Declared{Name: "main", Template: `{{len (gets "/many/*")}} {{getv "/fence" "-"}}` + "\n"})
	for first := 0; first < keys; first += perTxn {
		var ops []clientv3.Op
		for i := first; i < first+perTxn; i++ {
			ops = append(ops, clientv3.OpPut(fmt.Sprintf("%s/many/%05d", h.Prefix, i), strconv.Itoa(i)))
		}
		if _, err := h.Etcd.Txn(t.Context()).Then(ops...).Commit(); err != nil {
			t.Fatal(err)
		}
	}
	h.Start()
	h.AwaitTold("main", "20000 -")
	h.Put("/many/new", "1")
	h.AwaitTold("main", "20001 -")
	h.Delete("/many/0", clientv3.WithPrefix())
	h.AwaitTold("main", "10001 -")
	h.Stop()
	h.ToldExactly("main", "20000 -", "20001 -", "10001 -")
}

// faultSiblings has neighbours whose names merely start alike.
func faultSiblings(t *testing.T, h *host) {
	h.Declare(proctest.Declared{Name: "main", Prefix: h.Prefix + "/batman",
		Template: `{{primary.Name}} {{range gets "/*"}}{{base .Key}} {{end}}{{getv "/fence" "-"}}` + "\n"})
	for _, sibling := range []string{"/batman", "/batman2", "/batman-2", "/batma"} {
		pairs := proctest.Led("db1")
		for i := 0; i < len(pairs); i += 2 {
			pairs[i] = sibling + pairs[i]
		}
		h.Put(pairs...)
	}
	h.Start()
	h.AwaitTold("main", "db1 initialize leader -")
	for _, sibling := range []string{"/batman2", "/batman-2", "/batma"} {
		h.Put(sibling+"/leader", "db2", sibling+"/more", "1")
		h.Delete(sibling + "/initialize")
	}
	h.Put("/batman/fence", "1")
	h.AwaitTold("main", "db1 fence initialize leader 1")
	h.Stop()
	h.ToldExactly("main", "db1 initialize leader -", "db1 fence initialize leader 1")
}

// faultWiped has every key of the prefix deleted, or never there: no file is emptied.
func faultWiped(t *testing.T, h *host) {
	// This template would render without any key.
	const always = `{{getv "/leader" "nobody"}}` + "\n"
	h.Declare(proctest.Declared{Name: "main", Template: always})
	h.Declare(proctest.Declared{Name: "empty", Template: always, Extra: "allow_empty = true"})
	h.Put(proctest.Led("db1")...)
	h.Start()
	h.AwaitTold("main", "db1")
	h.AwaitTold("empty", "db1")
	h.Delete("/", clientv3.WithPrefix())
	h.AwaitTold("empty", "nobody")
	h.AwaitLog("resource held", 1)
	h.FileIs(h.Dest("main"), "db1\n")
	// A restart finds nothing either.
	h.Stop()
	h.Start()
	h.AwaitLog("resource failed", 1)
	h.FileIs(h.Dest("main"), "db1\n")
	h.Put(proctest.Led("db2")...)
	h.AwaitTold("main", "db2")
	h.Stop()
	// While the keys come back one by one the file may say that nobody leads, but it
	// never says so because there are no keys.
	if told := h.Told("main"); told[0] != "db1" || told[len(told)-1] != "db2" {
		t.Errorf("the proxy was told %q", told)
	}
}
