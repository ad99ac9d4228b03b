package patroni

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFind(t *testing.T) {
	tests := []struct {
		name string
		keys string
		want []string
	}{
		{"none", "/a /a/config /a/b/status", nil},
		{"leader", "/service/batman/leader", []string{"/service/batman"}},
		{"initialize", "/service/batman/initialize", []string{"/service/batman"}},
		{"member", "/service/batman/members/db1", []string{"/service/batman"}},
		{"member with a slash", "/service/batman/members/db1/x", nil},
		{"old optime alone", "/service/batman/optime/leader", nil},
		{"neighbours", "/s/batman/leader /s/batman-2/leader /s/batman2/leader", []string{"/s/batman", "/s/batman-2", "/s/batman2"}},
		{"the prefix was the scope", "/leader /members/db1 /config", []string{""}},
		{"the prefix was a Citus scope", "/0/leader /1/leader", []string{""}},
		{"levels", "/prod/eu/main/leader /prod/us/main/leader", []string{"/prod/eu/main", "/prod/us/main"}},
		{"Citus", "/s/demo/0/leader /s/demo/1/members/w /s/demo/10/initialize", []string{"/s/demo"}},
		{"Citus among others", "/s/batman/leader /s/demo/0/leader /s/demo/1/leader", []string{"/s/batman", "/s/demo"}},
		{"Citus with plain leftovers", "/s/demo/initialize /s/demo/0/leader", []string{"/s/demo"}},
		{"scopes called by numbers beside others", "/s/0/leader /s/1/leader /s/batman/leader", []string{"/s/0", "/s/1", "/s/batman"}},
		{"a number that is no group", "/s/demo/0/leader /s/demo/007/leader", []string{"/s/demo", "/s/demo/007"}},
		{"a group in a group", "/s/demo/0/0/leader /s/demo/0/leader", []string{"/s/demo"}},
		{"members called like keys", "/s/b/leader /s/b/members/leader /s/b/members/initialize /s/b/members/x/leader /s/b/members/0/leader", []string{"/s/b"}},
		{"members below members", "/s/b/leader /s/b/members/x/members/y", []string{"/s/b"}},
		{"a cluster in a cluster", "/s/b/leader /s/b/c/leader", []string{"/s/b", "/s/b/c"}},
		{"no leading slash", "leader members/db1", nil},
		{"a scope called members", "/s/members/leader /s/members/members/db1", []string{"/s/members"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			keys := strings.Fields(tt.keys)
			want := tt.want
			if want == nil {
				want = []string{}
			}
			for range len(keys) {
				keys = append(keys[1:], keys[0])
				if diff := cmp.Diff(want, Find(slices.Values(keys))); diff != "" {
					t.Errorf("%v (-want +got):\n%s", keys, diff)
				}
			}
		})
	}
}

// checkFind checks that Find and Decode agree: the clusters that Find lists and
// their groups are exactly the paths that hold the keys of a cluster.
func checkFind(t *testing.T, keys map[string]string) {
	t.Helper()
	sorted := slices.Sorted(maps.Keys(keys))
	paths := Find(slices.Values(sorted))
	if !slices.IsSorted(paths) || len(slices.Compact(slices.Clone(paths))) != len(paths) {
		t.Fatalf("%q: paths are not sorted or not unique: %q", sorted, paths)
	}
	slices.Reverse(sorted)
	if diff := cmp.Diff(paths, Find(slices.Values(sorted))); diff != "" {
		t.Fatalf("%q: the order of keys matters (-sorted +reversed):\n%s", sorted, diff)
	}
	listed := map[string]bool{}
	for _, path := range paths {
		listed[path] = true
	}
	for _, path := range paths {
		below := relative(keys, path)
		groups, _ := splitGroups(below)
		holds := len(groups) > 0
		for key := range below {
			child, ok := clusterPath("/" + key)
			holds = holds || ok && child == ""
		}
		if !holds {
			t.Fatalf("%q: %q is listed and holds no cluster", sorted, path)
		}
		for _, group := range Decode(path, below).Groups {
			if listed[path+"/"+group.Path[strings.LastIndexByte(group.Path, '/')+1:]] {
				t.Fatalf("%q: %q is listed beside its parent", sorted, group.Path)
			}
		}
	}
}

func TestFindAgreesWithDecode(t *testing.T) {
	for _, name := range fixtureNames(t) {
		checkFind(t, loadFixture(t, name))
	}
}

func FuzzFind(f *testing.F) {
	f.Add("/s/demo/0/leader /s/demo/1/members/x /s/demo/members/y/leader")
	f.Add("/0/leader /leader /members/leader /optime/leader")
	f.Add("/s/1/leader /s/a/leader /s/members/members/members/leader")
	f.Add("leader //leader /members// /0//leader")
	f.Fuzz(func(t *testing.T, list string) {
		keys := map[string]string{}
		for key := range strings.SplitSeq(list, " ") {
			keys[key] = "x"
		}
		checkFind(t, keys)
	})
}
