package patroni

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files of this package anew")

// loadFixture returns the keys and values of testdata/fixtures/NAME.json. A
// value that is an object has its bytes in base64, for those that no JSON
// string holds.
func loadFixture(t testing.TB, name string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "fixtures", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	keys := make(map[string]string, len(raw))
	for key, value := range raw {
		var text string
		if err := json.Unmarshal(value, &text); err != nil {
			var encoded struct{ Base64 string }
			if err := json.Unmarshal(value, &encoded); err != nil {
				t.Fatalf("%s: %s: %v", name, key, err)
			}
			decoded, err := base64.StdEncoding.DecodeString(encoded.Base64)
			if err != nil {
				t.Fatalf("%s: %s: %v", name, key, err)
			}
			text = string(decoded)
		}
		keys[key] = text
	}
	return keys
}

func fixtureNames(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/fixtures/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for i, file := range files {
		files[i] = strings.TrimSuffix(filepath.Base(file), ".json")
	}
	return files
}

// decodeAll finds and decodes all clusters among absolute keys.
func decodeAll(keys map[string]string) []*Cluster {
	var clusters []*Cluster
	for _, path := range Find(slices.Values(slices.Sorted(maps.Keys(keys)))) {
		clusters = append(clusters, Decode(path, relative(keys, path)))
	}
	return clusters
}

// relative returns the keys below path, relative to it.
func relative(keys map[string]string, path string) map[string]string {
	below := map[string]string{}
	for key, value := range keys {
		if rest, ok := strings.CutPrefix(key, path+"/"); ok {
			below[rest] = value
		}
	}
	return below
}

// golden describes everything that is derived from a cluster, for people to
// read: a line of JSON for the cluster and one for each member, without what is
// empty, zero or the default, and what the functions of the package answer.
func golden(t *testing.T, out *strings.Builder, c *Cluster) {
	t.Helper()
	cluster := fields(t, c)
	delete(cluster, "members")
	delete(cluster, "groups")
	writeLine(t, out, "cluster", cluster)
	if len(c.Config()) > 0 {
		writeLine(t, out, "  config", c.Config())
	}
	for _, m := range c.Members {
		writeLine(t, out, "  member", fields(t, m))
	}
	if len(c.Members) > 0 {
		for _, list := range []struct {
			what    string
			members []*Member
		}{
			{"lag 0", WithinLag(0, c.Members)},
			{"lag 1MB", WithinLag(1<<20, c.Members)},
			{"zone a", WithTag("zone", "a", c.Members)},
			{"not zone a", WithoutTag("zone", "a", c.Members)},
		} {
			fmt.Fprintf(out, "  %s: %s\n", list.what, strings.Join(names(list.members), " "))
		}
	}
	for _, group := range c.Groups {
		golden(t, out, group)
	}
}

// fields returns the JSON of v without what is empty, zero or the default. A
// lag that is null becomes "unknown" to be told from one of 0.
func fields(t *testing.T, v json.Marshaler) map[string]any {
	t.Helper()
	data, err := v.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]any{}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&all); err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(all, func(name string, value any) bool {
		switch value := value.(type) {
		case nil:
			if !strings.HasSuffix(name, "lag") {
				return true
			}
			all[name] = "unknown"
		case bool:
			return !value
		case string:
			return value == ""
		case json.Number:
			return value == "0" && name != "group" || value == "1" && strings.HasSuffix(name, "_priority")
		case []any:
			return len(value) == 0
		case map[string]any:
			return len(value) == 0
		}
		return false
	})
	return all
}

func writeLine(t *testing.T, out *strings.Builder, what string, v any) {
	t.Helper()
	var line strings.Builder
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(out, "%s %s", what, line.String())
}

// TestGolden compares everything that is derived from each fixture with what
// was found right by reading it.
func TestGolden(t *testing.T) {
	for _, name := range fixtureNames(t) {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			for _, c := range decodeAll(loadFixture(t, name)) {
				golden(t, &out, c)
				checkInvariants(t, c)
			}
			file := filepath.Join("testdata", "golden", name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), out.String()); diff != "" {
				t.Errorf("what %s gives is not what its golden file says (-want +got):\n%s", name, diff)
			}
		})
	}
}

// TestReference is the table of expected results in the reference of Patroni's
// keys, of which the fixtures called ref-* are a copy.
func TestReference(t *testing.T) {
	type result struct {
		Path     string
		Primary  string
		Promoted string
		Standby  string
		Readers  string
		Display  string
		Timeline int64
	}
	tests := []struct {
		fixture string
		want    []result
	}{
		{"ref-01-healthy", []result{{Path: "/service/batman", Primary: "db1", Promoted: "db1", Readers: "db2 db3", Timeline: 3,
			Display: "db1 leader running 0, db2 replica streaming 0, db3 replica streaming 4096"}}},
		{"ref-02-leader-crashed", []result{{Path: "/service/batman", Readers: "db2 db3", Timeline: 3,
			Display: "db2 replica running 0, db3 replica running 0"}}},
		{"ref-03-switchover-unlocked", []result{{Path: "/service/batman", Readers: "db2 db3",
			Display: "db1 replica stopping unknown, db2 replica streaming 0, db3 replica streaming 0"}}},
		{"ref-04-lock-taken-not-promoted", []result{{Path: "/service/batman", Primary: "db2", Readers: "db3", Timeline: 3,
			Display: "db1 replica stopped unknown, db2 leader running 0, db3 quorum_standby running 0"}}},
		{"ref-05-after-failover", []result{{Path: "/service/batman", Primary: "db2", Promoted: "db2", Readers: "db3", Timeline: 4,
			Display: "db2 leader running 0, db3 replica streaming 0"}}},
		{"ref-06-synchronous-on", []result{{Path: "/service/batman", Primary: "db1", Promoted: "db1", Readers: "db2 db3", Timeline: 3,
			Display: "db1 leader running 0, db2 sync_standby streaming 0, db3 replica streaming 0"}}},
		{"ref-07-quorum-commit", []result{{Path: "/service/batman", Primary: "db1", Promoted: "db1", Readers: "db2 db3", Timeline: 3,
			Display: "db1 leader running 0, db2 quorum_standby streaming 0, db3 quorum_standby streaming 0"}}},
		{"ref-08-standby-cluster", []result{{Path: "/service/batman-dr", Standby: "dr1", Readers: "dr2", Timeline: 3,
			Display: "dr1 standby_leader streaming 0, dr2 replica streaming 0"}}},
		{"ref-09-citus", []result{
			{Path: "/service/demo"},
			{Path: "/service/demo/0", Primary: "coord1", Promoted: "coord1", Readers: "coord2", Timeline: 1,
				Display: "coord1 leader running 0, coord2 quorum_standby streaming 0"},
			{Path: "/service/demo/1", Primary: "wk1-2", Promoted: "wk1-2", Readers: "wk1-1", Timeline: 1,
				Display: "wk1-1 quorum_standby streaming 0, wk1-2 leader running 0"},
			{Path: "/service/demo/2", Primary: "wk2-1", Promoted: "wk2-1", Readers: "wk2-2", Timeline: 1,
				Display: "wk2-1 leader running 0, wk2-2 quorum_standby streaming 0"},
		}},
		{"ref-10-paused-two-primaries", []result{{Path: "/service/batman", Primary: "db1", Promoted: "db1", Readers: "db2", Timeline: 3,
			Display: "db1 leader running 0, db2 replica streaming 0, db3 replica running 0"}}},
		{"ref-11-ipv6-namespace-levels", []result{{Path: "/prod/pg/v6", Primary: "v6-a", Promoted: "v6-a", Readers: "v6-b", Timeline: 3,
			Display: "v6-a leader running 0, v6-b replica streaming 0"}}},
		{"ref-12-lag-tags-proxy", []result{{Path: "/service/batman", Primary: "node-1", Promoted: "node-1", Readers: "node-2", Timeline: 7,
			Display: "node-1 leader running 0, node-2 replica streaming 3145728, " +
				"node-3 replica in archive recovery 67108864, node-4 replica creating replica unknown"}}},
		{"ref-13-rolling-upgrade", []result{{Path: "/service/batman", Primary: "db1", Promoted: "db1", Readers: "db2 db3", Timeline: 3,
			Display: "db1 leader running 0, db2 sync_standby streaming 0, db3 replica streaming 2048"}}},
		{"ref-14-failsafe-cut-off", []result{{Path: "/service/batman", Readers: "db2 db3",
			Display: "db2 replica streaming 0, db3 replica streaming 0"}}},
		{"ref-15-hostile-neighbours", []result{
			{Path: "/service/batman", Display: "db1 replica unknown unknown, db2 replica running unknown, db3 replica unknown unknown"},
			{Path: "/service/batman2", Primary: "zz1", Promoted: "zz1", Timeline: 1, Display: "zz1 leader running 0"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.fixture, func(t *testing.T) {
			var got []result
			for _, parent := range decodeAll(loadFixture(t, tt.fixture)) {
				for _, c := range append([]*Cluster{parent}, parent.Groups...) {
					r := result{Path: c.Path, Primary: c.Primary.String(), Promoted: c.Promoted().String(),
						Standby: c.StandbyLeader.String(), Readers: strings.Join(names(c.Readers), " "), Timeline: c.Timeline}
					var rows []string
					for _, m := range c.Members {
						rows = append(rows, strings.Join([]string{m.Name, strings.ReplaceAll(strings.ToLower(m.DisplayRole()), " ", "_"), m.DisplayState(), m.Lag.String()}, " "))
					}
					r.Display = strings.Join(rows, ", ")
					got = append(got, r)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.fixture, diff)
			}
		})
	}
}

// TestReferenceDetails are the remarks of the same table that are not in its
// columns.
func TestReferenceDetails(t *testing.T) {
	one := func(name string) *Cluster { return decodeAll(loadFixture(t, name))[0] }
	check := func(what string, got, want any) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	check("7.6 sync", names(one("ref-06-synchronous-on").SyncStandbys), []string{"db2"})
	check("7.7 quorum", names(one("ref-07-quorum-commit").QuorumVoters), []string{"db2", "db3"})
	check("7.7 number", one("ref-07-quorum-commit").Quorum, int64(1))
	check("7.8 sync ignored", one("ref-08-standby-cluster").SyncMode, SyncOff)
	check("7.10 pause", one("ref-10-paused-two-primaries").Paused, true)
	v6 := one("ref-11-ipv6-namespace-levels")
	check("7.11 host", v6.Primary.Host, "2001:db8::11")
	check("7.11 address", v6.Primary.Addr, "[2001:db8::11]:5432")
	check("7.11 port", v6.Readers[0].Port, 6432)
	check("7.11 API", v6.Primary.APIURL, "https://[2001:db8::11]:8008/patroni")
	node2 := one("ref-12-lag-tags-proxy").Member("node-2")
	check("7.12 replay lag", node2.ReplayLag, Bytes(3<<20))
	check("7.12 receive lag", node2.ReceiveLag, Bytes(0))
	check("7.12 weight", node2.Tag("weight"), "1.5")
	upgrade := one("ref-13-rolling-upgrade")
	check("7.13 role", upgrade.Primary.Role, RolePrimary)
	check("7.13 replay lag of 4.0", upgrade.Member("db2").ReplayLag, Unknown)
	check("7.13 optime", upgrade.Optime, int64(117440792))
	check("7.14 failsafe", one("ref-14-failsafe-cut-off").FailsafeMembers, map[string]string{
		"db1": "http://10.0.0.1:8008/patroni", "db2": "http://10.0.0.2:8008/patroni", "db3": "http://10.0.0.3:8008/patroni"})
	hostile := one("ref-15-hostile-neighbours")
	check("7.15 db1", hostile.Member("db1").Host, "10.0.0.1")
	check("7.15 db1 API", hostile.Member("db1").APIAddr, "10.0.0.1:8008")
	check("7.15 db3", hostile.Member("db3").Host, "")
	check("7.15 leader", hostile.LeaderName, "ghost")
}
