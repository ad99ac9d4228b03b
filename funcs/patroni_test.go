package funcs

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fixture returns an Env with the keys of a fixture of the cluster model below
// prefix.
func fixture(t *testing.T, name, prefix string) *Env {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("patroni", "testdata", "fixtures", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]string
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	env := &Env{Store: NewStore(), Prefix: prefix}
	below := strings.TrimSuffix(prefix, "/")
	for key, value := range all {
		if rest, ok := strings.CutPrefix(key, below+"/"); ok {
			env.Store.Set("/"+rest, value)
		}
	}
	if env.Store.Len() == 0 {
		t.Fatalf("%s has no keys below %s", name, prefix)
	}
	return env
}

// TestFixtures holds the functions against the table of expected results that
// ends the reference of Patroni's keys.
func TestFixtures(t *testing.T) {
	const all = `{{with cluster.Primary}}{{.}}{{else}}none{{end}}|{{range readers}}{{.}} {{end}}|{{with leader}}{{.}}{{else}}none{{end}}|` +
		`{{with standbyLeader}}{{.}}{{else}}none{{end}}|{{range syncStandbys}}{{.}} {{end}}|{{range quorumVoters}}{{.}} {{end}}|{{range members}}{{.}} {{end}}`
	tests := []struct{ fixture, prefix, want string }{
		{"ref-01-healthy", "/service/batman", "db1|db2 db3 |db1|none|||db1 db2 db3 "},
		{"ref-02-leader-crashed", "/service/batman", "none|db2 db3 |none|none|||db2 db3 "},
		{"ref-03-switchover-unlocked", "/service/batman", "none|db2 db3 |none|none|||db1 db2 db3 "},
		{"ref-04-lock-taken-not-promoted", "/service/batman", "db2|db3 |db2|none||db3 |db1 db2 db3 "},
		{"ref-05-after-failover", "/service/batman", "db2|db3 |db2|none|||db2 db3 "},
		{"ref-06-synchronous-on", "/service/batman", "db1|db2 db3 |db1|none|db2 ||db1 db2 db3 "},
		{"ref-07-quorum-commit", "/service/batman", "db1|db2 db3 |db1|none||db2 db3 |db1 db2 db3 "},
		{"ref-08-standby-cluster", "/service/batman-dr", "none|dr2 |dr1|dr1|||dr1 dr2 "},
		{"ref-09-citus", "/service/demo/0", "coord1|coord2 |coord1|none||coord2 |coord1 coord2 "},
		{"ref-09-citus", "/service/demo/1", "wk1-2|wk1-1 |wk1-2|none||wk1-1 |wk1-1 wk1-2 "},
		{"ref-10-paused-two-primaries", "/service/batman", "db1|db2 |db1|none|||db1 db2 db3 "},
		{"ref-11-ipv6-namespace-levels", "/prod/pg/v6", "v6-a|v6-b |v6-a|none|||v6-a v6-b "},
		{"ref-12-lag-tags-proxy", "/service/batman", "node-1|node-2 |node-1|none|||node-1 node-2 node-3 node-4 "},
		{"ref-13-rolling-upgrade", "/service/batman", "db1|db2 db3 |db1|none|db2 ||db1 db2 db3 "},
		{"ref-14-failsafe-cut-off", "/service/batman", "none|db2 db3 |none|none|||db2 db3 "},
		{"ref-15-hostile-neighbours", "/service/batman", "none||none|none|||db1 db2 db3 "},
		{"ref-15-hostile-neighbours", "/service/batman2", "zz1||zz1|none|||zz1 "},
	}
	for _, tt := range tests {
		if got := render(t, fixture(t, tt.fixture, tt.prefix), all); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.fixture, got, tt.want)
		}
	}
}

func TestPatroniFunctions(t *testing.T) {
	tests := []struct{ fixture, prefix, template, want string }{
		{"ref-01-healthy", "/service/batman", `{{primary.Host}} {{primary.Port}} {{promoted.Addr}} {{leader.Name}} {{cluster.Scope}} {{cluster.Path}} {{cluster}}`, "10.0.0.1 5432 10.0.0.1:5432 db1 batman /service/batman batman"},
		{"ref-01-healthy", "/service", `{{(primary "/batman").Addr}} {{(primary "batman/").Addr}} {{range readers "batman"}}{{.}} {{end}}{{with cluster "/batman"}}{{primary .}} {{len (replicas .)}}{{end}}`, "10.0.0.1:5432 10.0.0.1:5432 db2 db3 db1 2"},
		{"ref-01-healthy", "/", `{{range clusters}}{{.Path}} {{primary .}} {{end}}{{primary "/service/batman"}}`, "/service/batman db1 db1"},
		{"ref-01-healthy", "/service/batman", `{{hosts replicas}} {{ports members}} {{replicas | addrs | join ","}} {{names members}} {{members | join " "}} {{hosts leader}} {{hosts nil}}`,
			"[10.0.0.2 10.0.0.3] [5432 5432 5432] 10.0.0.2:5432,10.0.0.3:5432 [db1 db2 db3] db1 db2 db3 [10.0.0.1] []"},
		{"ref-09-citus", "/service/demo", `{{range cluster.Groups}}{{.GroupNumber}}={{primary .}} {{end}}{{(primary (cluster.Group 0)).Addr}} {{len (readers "/2")}} {{range clusters}}{{.}}{{end}}`, "0=coord1 1=wk1-2 2=wk2-1 172.27.0.10:5432 1 demo"},
		{"ref-12-lag-tags-proxy", "/service/batman", `{{range replicas}}{{.}}:{{.Lag}} {{end}}{{replicas | maxLag "16MB" | join ","}} {{replicas | maxLag 1048576 | join ","}} {{replicas | maxLag "1GB" | join ","}} {{members | maxLag cluster.MaxLagOnFailover | join ","}}`,
			"node-2:3145728 node-3:67108864 node-2  node-2,node-3 node-1"},
		{"ref-12-lag-tags-proxy", "/service/batman", `{{members | withTag "zone" "b" | join ","}} {{members | withoutTag "zone" "b" | join ","}} {{members | withTag "nofailover" true | join ","}} {{members | withTag "failover_priority" 2 | join ","}} {{members | withTag "weight" 1.5 | join ","}} {{members | withTag "zone" "" | join ","}}`,
			"node-2 node-1,node-3,node-4 node-3 node-2 node-2 "},
		{"ref-12-lag-tags-proxy", "/service/batman", `{{readers | withTag "zone" "b" | orElse readers | orElse leader | join ","}} {{readers | withTag "zone" "z" | orElse readers | orElse leader | join ","}} {{readers | maxLag 0 | orElse leader | join ","}} {{firstOf (readers | withTag "zone" "z") (readers | maxLag "1MB") leader | join ","}}`,
			"node-2 node-2 node-1 node-1"},
		{"ref-12-lag-tags-proxy", "/service/batman", `{{readers | atLeast 1 | join ","}} {{concat readers (list leader) | withTag "zone" "a" | join ","}} {{first readers}} {{(index members 0).Addr}} {{has leader members}}`, "node-2 node-1 node-2 10.1.0.1:5432 true"},
		{"ref-14-failsafe-cut-off", "/service/batman", `{{with leader}}{{.}}{{else}}none{{end}} {{readers | orElse leader | join ","}}`, "none db2,db3"},
	}
	for _, tt := range tests {
		if got := render(t, fixture(t, tt.fixture, tt.prefix), tt.template); got != tt.want {
			t.Errorf("%s: %s\n got %s\nwant %s", tt.fixture, tt.template, got, tt.want)
		}
	}
}

// TestPatroniErrors holds every word that somebody may read at night.
func TestPatroniErrors(t *testing.T) {
	tests := []struct{ fixture, prefix, template, want string }{
		{"ref-03-switchover-unlocked", "/service/batman", `{{primary.Addr}}`,
			"no primary in /service/batman: the leader key is missing, so no member holds the leader lock at the moment"},
		{"ref-15-hostile-neighbours", "/service/batman", `{{primary}}`,
			`no primary in /service/batman: the leader key names "ghost", but there is no member of that name (its key members/ghost is missing): it died, or has not registered yet`},
		{"ref-08-standby-cluster", "/service/batman-dr", `{{primary}}`,
			`no primary in /service/batman-dr: it is a standby cluster, which follows another cluster and takes no writes; standbyLeader gives the member that leads it, "dr1"`},
		{"ref-14-failsafe-cut-off", "/service/batman", `{{primary}}`,
			"no primary in /service/batman: the leader key is missing, so no member holds the leader lock at the moment. Failsafe mode is on: the former primary may still be serving without the lock"},
		{"ref-04-lock-taken-not-promoted", "/service/batman", `{{promoted}}`,
			`"db2" holds the leader lock, but has not finished its promotion yet (role replica, state running)`},
		{"ref-09-citus", "/service/demo", `{{primary}}`,
			"/service/demo is a Citus cluster, whose members are in the groups 0, 1, 2: name one of them, as in (cluster.Group 0), which is the coordinator"},
		{"ref-09-citus", "/service/demo", `{{len readers}}`,
			"/service/demo is a Citus cluster, whose members are in the groups 0, 1, 2: name one of them, as in (cluster.Group 0), which is the coordinator"},
		{"ref-09-citus", "/service/demo", `{{primary (cluster.Group 7)}}`,
			"got no cluster; .Group gives nothing for a Citus group that does not exist"},
		{"ref-15-hostile-neighbours", "/service", `{{primary}}`,
			`no Patroni cluster at /service itself; below it: "/batman", "/batman2". Name one of them, as in (cluster "/batman"), or set the prefix of the resource to it, or loop over them with {{range clusters}}`},
		{"ref-15-hostile-neighbours", "/service", `{{primary "/batmn"}}`, `no Patroni cluster at /service/batmn (did you mean "/batman"?)`},
		{"ref-15-hostile-neighbours", "/service", `{{members "joker"}}`, `no Patroni cluster at /service/joker; there are: "/batman", "/batman2"`},
		{"ref-15-hostile-neighbours", "/service", `{{primary "/batman" "/batman2"}}`, "want one path or one cluster, not 2 arguments"},
		{"ref-15-hostile-neighbours", "/service", `{{primary 5}}`, "want the path of a cluster or a cluster, not a number"},
		{"ref-12-lag-tags-proxy", "/service/batman", `{{readers | maxLag "16mb"}}`, `parse size "16mb": the unit is written "MB": want a number of bytes, or a number with one of the units B, kB, MB, GB and TB, such as "16MB"`},
		{"ref-12-lag-tags-proxy", "/service/batman", `{{readers | maxLag 1.5}}`, "not a whole number; use addf, subf, mulf or divf for fractions, or int to cut them off"},
		{"ref-12-lag-tags-proxy", "/service/batman", `{{"x" | maxLag "16MB"}}`, "want a list of members, not text"},
		{"ref-12-lag-tags-proxy", "/service/batman", `{{list 1 | withTag "a" "b"}}`, "want a list of members, not a list with a number"},
		{"ref-12-lag-tags-proxy", "/service/batman", `{{readers | withTag "a" (list 1)}}`, "the value of a tag is text, a number or a boolean, not a list"},
		{"ref-12-lag-tags-proxy", "/service/batman", `{{readers | atLeast 2}}`, "the list has too few members: 1, want at least 2"},
		{"ref-12-lag-tags-proxy", "/service/batman", `{{members | orElse "x"}}`, "want a list of members, not text"},
		{"ref-12-lag-tags-proxy", "/service/batman", `{{hosts cluster}}`, "want a list of members, not a cluster"},
	}
	for _, tt := range tests {
		got := renderError(t, fixture(t, tt.fixture, tt.prefix), tt.template)
		if !strings.HasSuffix(got, ": "+tt.want) {
			t.Errorf("%s: %s\n got %s\nwant %s", tt.fixture, tt.template, got, tt.want)
		}
	}
}

// TestNoPrimaryWhy covers what the fixtures do not.
// Whoever may write the keys of a cluster must not keep the program busy, nor empty a file.
func TestTooManyMembers(t *testing.T) {
	env := fixture(t, "ref-01-healthy", "/service/batman")
	for i := range 6000 {
		env.Store.Set(fmt.Sprintf("/members/x %d", i), `{"conn_url":"postgres://10.0.0.1:5432/postgres","state":"running","role":"replica"}`)
	}
	for _, text := range []string{"{{primary}}", "{{range members}}{{.}}{{end}}", "{{range readers}}{{.}}{{end}}", "{{range cluster.Members}}{{.}}{{end}}", "{{cluster.LeaderName}}"} {
		if got := renderError(t, env, text); !strings.HasSuffix(got, ": /service/batman cannot be used: it has 6003 member keys, and of more than 5000 none is read") {
			t.Errorf("%s: %s", text, got)
		}
	}
	for i := range 1500 {
		env.Store.Del(fmt.Sprintf("/members/x %d", i))
	}
	if got := render(t, env, "{{len members}}"); got != "4503" {
		t.Errorf("of 4503 members there are %s", got)
	}
}

func TestNoPrimaryWhy(t *testing.T) {
	const lost = "the leader key is missing, so no member holds the leader lock at the moment"
	tests := []struct {
		name string
		keys map[string]string
		want string
	}{
		{"paused", map[string]string{"/initialize": "1", "/config": `{"pause":true}`},
			"no primary in /x: " + lost + ". The cluster is paused: Patroni elects no leader until it is resumed, but PostgreSQL may still be serving"},
		{"standby cluster without a leader", map[string]string{"/initialize": "1", "/config": `{"standby_cluster":{"host":"a"}}`},
			"no primary in /x: " + lost + ". It is a standby cluster, which has a standbyLeader and never a primary"},
		{"empty leader key", map[string]string{"/leader": ""}, "no primary in /x: " + lost},
		{"hostile address", map[string]string{"/leader": "a", "/members/a": `{"conn_url":"postgres://10.0.0.1 hunter2:5432/x"}`},
			`no primary in /x: "a" holds the leader lock, but cannot be used: conn_url has a host that holds ' '`},
		{"hostile name", map[string]string{"/leader": "a\nb", "/members/a\nb": `{"conn_url":"postgres://10.0.0.1:5432/x"}`},
			`no primary in /x: "a?b" holds the leader lock, but cannot be used: the name holds the character U+000A, which is neither a letter, a digit, a space nor one of - . _ : @ +`},
		{"hostile name without a member", map[string]string{"/leader": "a\nb"},
			`no primary in /x: the leader key names "a?b", but there is no member of that name (its key members/a?b is missing): it died, or has not registered yet`},
		{"no cluster", map[string]string{"/config": "{}", "/other": "1"},
			"no Patroni cluster at /x: none of the 2 keys below the prefix is a leader, initialize or member key"},
		{"no key", nil, "no Patroni cluster at /x: there is no key below the prefix"},
	}
	for _, tt := range tests {
		env := &Env{Store: storeOf(tt.keys), Prefix: "/x"}
		if diff := cmp.Diff(`template: test.tmpl:1:2: executing "test.tmpl" at <primary>: error calling primary: `+tt.want, renderError(t, env, `{{primary}}`)); diff != "" {
			t.Errorf("%s:\n%s", tt.name, diff)
		}
	}
	env := &Env{Store: storeOf(map[string]string{"/a/leader": "1", "/b/leader": "1", "/c/leader": "1", "/d/leader": "1", "/e/leader": "1", "/f/leader": "1"}), Prefix: "/"}
	if got, want := renderError(t, env, `{{primary}}`), `no Patroni cluster at / itself; below it: "/a", "/b", "/c", "/d", "/e" and 1 more. `; !strings.Contains(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestNames checks that the list of functions is the map's, sorted.
func TestNames(t *testing.T) {
	names := functionNames()
	functions := Map(&Env{Store: NewStore()})
	if len(names) != len(functions) {
		t.Errorf("%d names of %d functions", len(names), len(functions))
	}
	for i, name := range names {
		if functions[name] == nil || i > 0 && names[i-1] >= name {
			t.Errorf("name %d, %q, is no function or out of order", i, name)
		}
	}
}
