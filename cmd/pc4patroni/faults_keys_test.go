package main_test

import (
	"fmt"
	"strconv"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// The faults in this file come with the keys themselves.

// faultLeaderChange is the everyday case: one change, one reload. Heartbeats in between
// touch nothing.
func faultLeaderChange(t *testing.T, h *host) {
	h.declare(declared{name: "main"})
	h.put(led("db1")...)
	h.start()
	h.awaitTold("main", db1)
	for position := range 3 {
		h.put("/members/db1", memberAt("10.0.0.1", 2000+position), "/members/db2", memberAt("10.0.0.2", 2000+position),
			"/status", fmt.Sprintf(`{"optime":%d}`, 2000+position))
	}
	h.put("/leader", "db2")
	h.awaitTold("main", db2)
	// All that came before the fence was seen when its effect is seen.
	h.put("/members/db1", memberAt("10.0.0.1", 3000), "/fence", "1")
	h.awaitTold("main", "db2 10.0.0.2:5432 1")
	h.stop()
	h.toldExactly("main", db1, db2, "db2 10.0.0.2:5432 1")
	h.logged(`msg="file installed"`, 3)
}

// faultLeaderDeleted has the lock given up and taken again by the same member: nothing
// has changed for the proxy.
func faultLeaderDeleted(t *testing.T, h *host) {
	h.declare(declared{name: "main"})
	h.put(led("db1")...)
	h.start()
	h.awaitTold("main", db1)
	h.delete("/leader")
	h.awaitLog("resource held", 1)
	h.put("/members/db1", memberAt("10.0.0.1", 2000), "/members/db2", memberAt("10.0.0.2", 2000))
	h.fileIs(h.dest("main"), db1+"\n")
	h.put("/leader", "db1")
	h.awaitLog("resource recovered", 1)
	h.put("/leader", "db2")
	h.awaitTold("main", db2)
	h.stop()
	h.toldExactly("main", db1, db2)
	h.logged("resource held", 1)
}

// faultLeaderUnknown has a leader without a member key, as when the key's lease ran out.
func faultLeaderUnknown(t *testing.T, h *host) {
	h.declare(declared{name: "main"})
	h.put(led("db1")...)
	h.start()
	h.awaitTold("main", db1)
	h.put("/leader", "db3")
	h.awaitLog("resource held", 1)
	h.put("/members/db1", memberAt("10.0.0.1", 2000))
	h.fileIs(h.dest("main"), db1+"\n")
	h.put("/members/db3", memberAt("10.0.0.3", 2000))
	h.awaitTold("main", "db3 10.0.0.3:5432 -")
	h.stop()
	h.toldExactly("main", db1, "db3 10.0.0.3:5432 -")
	h.logged("resource held", 1)
}

// faultManyKeys has more keys than etcd should be asked for in one answer.
func faultManyKeys(t *testing.T, h *host) {
	const keys, perTxn = 20_000, 100
	h.declare(declared{name: "main", template: `{{len (gets "/many/*")}} {{getv "/fence" "-"}}` + "\n"})
	for first := 0; first < keys; first += perTxn {
		var ops []clientv3.Op
		for i := first; i < first+perTxn; i++ {
			ops = append(ops, clientv3.OpPut(fmt.Sprintf("%s/many/%05d", h.prefix, i), strconv.Itoa(i)))
		}
		if _, err := h.etcd.Txn(t.Context()).Then(ops...).Commit(); err != nil {
			t.Fatal(err)
		}
	}
	h.start()
	h.awaitTold("main", "20000 -")
	h.put("/many/new", "1")
	h.awaitTold("main", "20001 -")
	h.delete("/many/0", clientv3.WithPrefix())
	h.awaitTold("main", "10001 -")
	h.stop()
	h.toldExactly("main", "20000 -", "20001 -", "10001 -")
}

// faultSiblings has neighbours whose names merely start alike.
func faultSiblings(t *testing.T, h *host) {
	h.declare(declared{name: "main", prefix: h.prefix + "/batman",
		template: `{{primary.Name}} {{range gets "/*"}}{{base .Key}} {{end}}{{getv "/fence" "-"}}` + "\n"})
	for _, sibling := range []string{"/batman", "/batman2", "/batman-2", "/batma"} {
		pairs := led("db1")
		for i := 0; i < len(pairs); i += 2 {
			pairs[i] = sibling + pairs[i]
		}
		h.put(pairs...)
	}
	h.start()
	h.awaitTold("main", "db1 initialize leader -")
	for _, sibling := range []string{"/batman2", "/batman-2", "/batma"} {
		h.put(sibling+"/leader", "db2", sibling+"/more", "1")
		h.delete(sibling + "/initialize")
	}
	h.put("/batman/fence", "1")
	h.awaitTold("main", "db1 fence initialize leader 1")
	h.stop()
	h.toldExactly("main", "db1 initialize leader -", "db1 fence initialize leader 1")
}

// faultWiped has every key of the prefix deleted, or never there: no file is emptied.
func faultWiped(t *testing.T, h *host) {
	// This template would render without any key.
	const always = `{{getv "/leader" "nobody"}}` + "\n"
	h.declare(declared{name: "main", template: always})
	h.declare(declared{name: "empty", template: always, extra: "allow_empty = true"})
	h.put(led("db1")...)
	h.start()
	h.awaitTold("main", "db1")
	h.awaitTold("empty", "db1")
	h.delete("/", clientv3.WithPrefix())
	h.awaitTold("empty", "nobody")
	h.awaitLog("resource held", 1)
	h.fileIs(h.dest("main"), "db1\n")
	// A restart finds nothing either.
	h.stop()
	h.start()
	h.awaitLog("resource held", 2)
	h.fileIs(h.dest("main"), "db1\n")
	h.put(led("db2")...)
	h.awaitTold("main", "db2")
	h.stop()
	// While the keys come back one by one the file may say that nobody leads, but it
	// never says so because there are no keys.
	if told := h.told("main"); told[0] != "db1" || told[len(told)-1] != "db2" {
		t.Errorf("the proxy was told %q", told)
	}
}
