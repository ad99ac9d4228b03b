package patroni

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRawKeepsEverything(t *testing.T) {
	c := cluster(t, "ref-15-hostile-neighbours")
	want := map[string]any{
		"conn_url": "postgres://10.0.0.2:5432/postgres", "state": "running", "role": "replica",
		"tags": map[string]any{"noloadbalance": "false"}, "xlog_location": "117440792",
		"future_field": map[string]any{"x": []any{json.Number("1")}},
	}
	if diff := cmp.Diff(want, c.Member("db2").Raw()); diff != "" {
		t.Errorf("raw value (-want +got):\n%s", diff)
	}
	for _, name := range []string{"db1", "db3"} {
		if raw := c.Member(name).Raw(); raw == nil || len(raw) > 0 {
			t.Errorf("%s: raw value is %v, want an empty object", name, raw)
		}
	}
	big := Decode("/b", map[string]string{"members/a": `{"n":123456789012345678901234567890,"f":2.592e6}`})
	if got := fmt.Sprint(big.Members[0].Raw()); got != "map[f:2.592e6 n:123456789012345678901234567890]" {
		t.Errorf("digits are not kept: %s", got)
	}
}

// A template that prints a member or a cluster as a whole must not print what
// is unchecked in it.
func TestPrintedAsAWhole(t *testing.T) {
	c := cluster(t, "own-39-leader-with-bad-address")
	var nobody *Member
	var nothing *Cluster
	if got := fmt.Sprint(c, c.Members[0], c.Members, c.Leader, nobody, nothing); got != "batman db1 [db1 db2 db3]   " {
		t.Errorf("printed as %q", got)
	}
}

// What a problem says goes into logs: passwords of old releases must not.
func TestProblemHoldsNoSecret(t *testing.T) {
	for _, value := range []string{
		"postgres://u:s3cret@10.0.0.1 x:5432/postgres", "postgres://u:s3cret/y@10.0.0.1:5432/postgres", "postgres://u:s3cret@[::1/x",
		"postgres://u:s3cret@h:99999/x", "postgres://u:s3cret@h:1/x\n", `{"conn_url":"postgres://u:s3cret:x"}`, `{"conn_url":"s3cret"}`, `s3cret`,
		`{"conn_url":"postgres://s3cret;/"}`, `{"conn_url":"postgres://h:1/","api_url":"http://u:s3cret@h h/"}`,
	} {
		m := Decode("/c", map[string]string{"members/db1": value}).Members[0]
		if m.Usable() || strings.Contains(m.Problem, "s3cret") || strings.ContainsAny(m.Problem, "\n\r") {
			t.Errorf("%q: problem is %q", value, m.Problem)
		}
	}
}

// One cluster is read by many goroutines: the engine, the status page.
func TestConcurrentReaders(t *testing.T) {
	c := cluster(t, "ref-12-lag-tags-proxy")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if len(c.Config()) != 5 || len(c.Members[1].Raw()) == 0 || c.Members[1].Upstream() != c.Leader {
				t.Error("read wrongly")
			}
			if _, err := json.Marshal(c); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestGroup(t *testing.T) {
	c := cluster(t, "ref-09-citus")
	if !c.Citus() || c.Primary != nil || len(c.Groups) != 3 {
		t.Fatalf("Citus %v, primary %v, groups %v", c.Citus(), c.Primary, c.Groups)
	}
	if got := c.Group(1).Primary.Addr; got != "172.27.0.21:5432" {
		t.Errorf("primary of group 1 is %s", got)
	}
	for _, number := range []int{-1, 3, 100} {
		if got := c.Group(number); got != nil {
			t.Errorf("group %d is %v, want none", number, got)
		}
	}
	group := Decode("/service/demo/0", relative(loadFixture(t, "ref-09-citus"), "/service/demo/0"))
	if group.Citus() || group.Primary == nil || group.GroupNumber != -1 || group.Scope != "0" {
		t.Errorf("a group decoded by its own path: %+v", group)
	}
	plain := cluster(t, "ref-01-healthy")
	if plain.Citus() || plain.Group(0) != nil || plain.GroupNumber != -1 {
		t.Error("a plain cluster passes for Citus")
	}
}

func decoded(t *testing.T, text string) (object map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		t.Fatal(err)
	}
	return object
}

// Programs rely on the names in the JSON, on null for what is not known, and on
// lists that are never null.
func TestJSON(t *testing.T) {
	data, err := json.Marshal(Decode("/service/empty", nil))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"path":"/service/empty","scope":"empty","group":null,"problem":"","system_id":"","leader_name":"","leader":null,` +
		`"primary":null,"promoted":null,"standby_leader":null,"replicas":[],"readers":[],"sync_mode":"off","sync_leader":"",` +
		`"sync_standbys":[],"quorum_voters":[],"async_readers":[],"quorum":0,"paused":false,"failsafe":false,"failsafe_members":{},"standby_cluster":false,` +
		`"citus":false,"max_lag_on_failover":1048576,"timeline":0,"optime":0,"history":[],"failover":null,"members":[],"groups":[]}`
	if diff := cmp.Diff(decoded(t, want), decoded(t, string(data))); diff != "" {
		t.Errorf("an empty cluster (-want +got):\n%s", diff)
	}
	data, err = json.Marshal(Decode("/c", map[string]string{"members/a": "{}"}).Members[0])
	if err != nil {
		t.Fatal(err)
	}
	const member = `{"name":"a","problem":"conn_url is missing or names no host","warning":"","host":"","port":0,"addr":"","addrs":[],"conn_url":"",` +
		`"proxy_url":"","proxy_host":"","proxy_port":0,"proxy_addr":"","api_url":"","api_scheme":"","api_host":"","api_port":0,"api_addr":"",` +
		`"role":"unknown","state":"unknown","display_role":"Replica","display_state":"unknown","replication_state":"","version":"",` +
		`"timeline":0,"running":false,"is_leader":false,"promoted":false,"in_sync":false,"xlog_location":0,"receive_lsn":0,"replay_lsn":0,` +
		`"lag":null,"receive_lag":null,"replay_lag":null,"no_failover":false,"no_load_balance":false,"no_sync":false,"no_stream":false,` +
		`"clone_from":false,"replicate_from":"","upstream":null,"failover_priority":1,"sync_priority":1,"tags":{},"pending_restart":false,` +
		`"pending_restart_reason":[],"scheduled_restart":"","pause":false}`
	if diff := cmp.Diff(decoded(t, member), decoded(t, string(data))); diff != "" {
		t.Errorf("an empty member (-want +got):\n%s", diff)
	}
}

// FuzzMember decodes one member, as the leader and as a replica.
func FuzzMember(f *testing.F) {
	for _, name := range fixtureNames(f) {
		for key, value := range loadFixture(f, name) {
			if strings.Contains(key, "/members/") && len(value) < 4096 {
				f.Add(key[strings.LastIndexByte(key, '/')+1:], value)
			}
		}
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		keys := map[string]string{
			"members/" + name: value, "status": `{"optime":117440792}`, "config": `{"synchronous_mode":true}`,
			"sync": `{"leader":"x","sync_standby":` + string(must(json.Marshal(name))) + `}`,
		}
		checkInvariants(t, Decode("/service/batman", keys))
		keys["leader"] = name
		checkInvariants(t, Decode("/service/batman", keys))
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
