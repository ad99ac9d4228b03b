package patroni

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPromotion walks through a switchover and says in each step who is the
// leader, who is promoted and who may be read from.
func TestPromotion(t *testing.T) {
	member := func(role, state string) string {
		return `{"conn_url":"postgres://10.0.0.1:5432/postgres","role":"` + role + `","state":"` + state + `"}`
	}
	tests := []struct {
		step                       string
		leader, a, b               string
		primary, promoted, readers string
	}{
		{"before", "a", member("primary", "running"), member("replica", "running"), "a", "a", "b"},
		{"a stops", "a", member("primary", "stopping"), member("replica", "running"), "a", "", "b"},
		{"nobody leads", "", member("demoted", "stopping"), member("replica", "running"), "", "", "b"},
		{"b takes the lock", "b", member("demoted", "stopped"), member("replica", "running"), "b", "", ""},
		{"b promotes", "b", member("demoted", "stopped"), member("promoted", "running"), "b", "", ""},
		{"b is promoted", "b", member("replica", "starting"), member("primary", "running"), "b", "b", ""},
		{"b is promoted, of 3.x", "b", member("replica", "starting"), member("master", "running"), "b", "b", ""},
		{"a is back", "b", member("replica", "running"), member("primary", "running"), "b", "b", "a"},
	}
	for _, tt := range tests {
		c := Decode("/service/batman", map[string]string{"leader": tt.leader, "members/a": tt.a, "members/b": tt.b})
		if c.Primary.String() != tt.primary || c.Promoted().String() != tt.promoted || strings.Join(names(c.Readers), " ") != tt.readers {
			t.Errorf("%s: primary %q, promoted %q, readers %v, want %q, %q, %q",
				tt.step, c.Primary, c.Promoted(), c.Readers, tt.primary, tt.promoted, tt.readers)
		}
	}
}

// TestDemotedToStandbyCluster has a history that ends at timeline 3, and a
// leader that follows another cluster, on timeline 7.
func TestDemotedToStandbyCluster(t *testing.T) {
	keys := map[string]string{
		"config":    `{"standby_cluster":{"host":"10.9.0.1"}}`,
		"history":   `[[1,100,"no recovery target specified"],[2,200,"no recovery target specified"]]`,
		"leader":    "a",
		"members/a": `{"conn_url":"postgres://10.0.0.1/x","role":"standby_leader","state":"running","timeline":7}`,
	}
	if c := Decode("/c", keys); c.Timeline != 7 || c.StandbyLeader == nil {
		t.Errorf("timeline %d, standby leader %v, want 7 and a", c.Timeline, c.StandbyLeader)
	}
	delete(keys, "leader")
	if c := Decode("/c", keys); c.Timeline != 3 {
		t.Errorf("without a leader the timeline is %d, want 3", c.Timeline)
	}
}

// TestStandbyClusterWithoutConfig takes the leader's word where the config key
// is gone: writes must not go to a cluster that follows another one.
func TestStandbyClusterWithoutConfig(t *testing.T) {
	tests := []struct{ name, config, role, primary, standbyLeader string }{
		{"no key", "", "standby_leader", "", "a"},
		{"no object", "[]", "standby_leader", "", "a"},
		{"no key, and a primary", "", "primary", "a", ""},
		{"promoted a moment ago", "{}", "standby_leader", "a", ""},
	}
	for _, tt := range tests {
		keys := map[string]string{"leader": "a", "members/a": `{"conn_url":"postgres://10.0.0.1/x","role":"` + tt.role + `","state":"running"}`}
		if tt.config != "" {
			keys["config"] = tt.config
		}
		if c := Decode("/c", keys); c.Primary.String() != tt.primary || c.StandbyLeader.String() != tt.standbyLeader {
			t.Errorf("%s: primary %q and standby leader %q, want %q and %q", tt.name, c.Primary, c.StandbyLeader, tt.primary, tt.standbyLeader)
		}
	}
}

func TestNamesWithSpaces(t *testing.T) {
	member := func(tags string) string {
		return `{"conn_url":"postgres://10.0.0.1/x","role":"replica","state":"running","tags":{` + tags + `}}`
	}
	c := Decode("/c", map[string]string{
		"leader": "db 1", "members/db 1": member(""), "members/db 2": member(""), "members/db 3": member(`"replicatefrom":"db 2"`),
		"members/db 4": member(""), "members/db_4": member(""), "members/ db5": member(""),
	})
	if c.Primary.String() != "db_1" || c.LeaderName != "db_1" || c.Member("db 1") != c.Primary {
		t.Errorf("the primary is %q, and the leader %q", c.Primary, c.LeaderName)
	}
	if got := strings.Join(names(c.Readers), " "); got != "db_2 db_3 db_4" {
		t.Errorf("readers are %s", got)
	}
	if got := c.Member("db 3").Upstream(); got != c.Member("db 2") {
		t.Errorf("the upstream of db 3 is %v", got)
	}
	if c.Member("db 4").Usable() || !c.Member("db_4").Usable() {
		t.Error("two members of one name are usable")
	}
}

func TestUpstream(t *testing.T) {
	member := func(tags string) string {
		return `{"conn_url":"postgres://10.0.0.1/x","role":"replica","state":"running","tags":{` + tags + `}}`
	}
	c := Decode("/c", map[string]string{
		"leader": "a", "members/a": member(""), "members/b": member(""), "members/c": member(`"replicatefrom":"b"`),
		"members/d": member(`"nostream":true`), "members/e": member(`"replicatefrom":"b","nostream":true`),
		"members/f": member(`"replicatefrom":"f"`), "members/g": member(`"replicatefrom":"gone"`),
	})
	for name, want := range map[string]string{"a": "", "b": "a", "c": "b", "d": "", "e": "", "f": "a", "g": "a"} {
		if got := c.Member(name).Upstream().String(); got != want {
			t.Errorf("the upstream of %s is %q, want %q", name, got, want)
		}
	}
}

func TestParts(t *testing.T) {
	citus := Decode("/demo", map[string]string{"0/leader": "a", "1/leader": "b"})
	if parts := citus.Parts(); len(parts) != 2 || parts[1].GroupNumber != 1 {
		t.Errorf("the parts of a Citus cluster are %v", parts)
	}
	plain := Decode("/batman", map[string]string{"leader": "a"})
	if parts := plain.Parts(); len(parts) != 1 || parts[0] != plain {
		t.Errorf("the parts of a plain cluster are %v", parts)
	}
}

func TestPaths(t *testing.T) {
	tests := []struct{ path, wantPath, wantScope string }{
		{"/service/batman", "/service/batman", "batman"},
		{"/service/batman/", "/service/batman", "batman"},
		{"/batman", "/batman", "batman"},
		{"/", "/", ""},
		{"", "/", ""},
	}
	for _, tt := range tests {
		c := Decode(tt.path, map[string]string{"leader": "a", "members/a": `{"conn_url":"postgres://h/x"}`})
		if c.Path != tt.wantPath || c.Scope != tt.wantScope || c.Leader == nil {
			t.Errorf("Decode(%q): path %q, scope %q, leader %v", tt.path, c.Path, c.Scope, c.Leader)
		}
	}
}

// FuzzCluster decodes all keys of a cluster, plain and as a Citus group.
func FuzzCluster(f *testing.F) {
	seen := map[string]bool{}
	for _, name := range fixtureNames(f) {
		keys := loadFixture(f, name)
		for _, path := range Find(slices.Values(slices.Sorted(maps.Keys(keys)))) {
			k := relative(keys, path)
			var members []string
			for key := range k {
				if strings.HasPrefix(key, "members/") && len(k[key]) < 1024 {
					members = append(members, key)
				}
			}
			slices.Sort(members)
			members = append(members, "", "")
			seed := k["leader"] + k["config"] + k["sync"] + k["status"] + k["history"] + k["failover"] + k["failsafe"]
			if len(seed) > 2048 || seen[seed] {
				continue
			}
			seen[seed] = true
			f.Add(path, k["leader"], k["config"], k["sync"], k["status"], k["history"], k["failover"], k["failsafe"],
				strings.TrimPrefix(members[0], "members/"), k[members[0]], strings.TrimPrefix(members[1], "members/"), k[members[1]])
		}
	}
	f.Fuzz(func(t *testing.T, path, leader, config, sync, status, history, failover, failsafe, name1, value1, name2, value2 string) {
		keys := map[string]string{
			"leader": leader, "config": config, "sync": sync, "status": status, "history": history, "failover": failover,
			"failsafe": failsafe, "members/" + name1: value1, "members/" + name2: value2, "optime/leader": status, "initialize": leader,
		}
		c := Decode(path, keys)
		checkInvariants(t, c)
		first, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if second, err := json.Marshal(Decode(path, keys)); err != nil || string(first) != string(second) {
			t.Fatalf("the same keys give another cluster, %v:\n%s", err, cmp.Diff(string(first), string(second)))
		}
		grouped := map[string]string{}
		for key, value := range keys {
			grouped["0/"+key] = value
		}
		parent := Decode(path, grouped)
		checkInvariants(t, parent)
		if group := parent.Group(0); group == nil || len(group.Members) != len(c.Members) || group.LeaderName != c.LeaderName {
			t.Fatalf("as a group the cluster is %v, alone %v", group, c)
		}
	})
}
