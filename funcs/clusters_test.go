package funcs

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	primaryOf = `{"conn_url":"postgres://10.0.0.%d:5432/postgres","state":"running","role":"primary","xlog_location":%d}`
	replicaOf = `{"conn_url":"postgres://10.0.0.%d:5432/postgres","state":"running","role":"replica","xlog_location":%d}`
)

// TestHeartbeatDecodesOneCluster counts the clusters that are new after an
// event, by identity.
func TestHeartbeatDecodesOneCluster(t *testing.T) {
	s := NewStore()
	s.Replace(maps.Collect(namespace()))
	before := s.Clusters("/service")
	if len(before) != benchClusters {
		t.Fatalf("%d clusters, want %d", len(before), benchClusters)
	}
	renewed := func() []string {
		t.Helper()
		after := s.Clusters("/service")
		var scopes []string
		for _, c := range after {
			if !slices.Contains(before, c) {
				scopes = append(scopes, c.Scope)
			}
		}
		before = after
		return scopes
	}
	steps := []struct {
		name  string
		event func()
		want  []string
		finds bool
	}{
		{"a heartbeat", func() { s.Set("/c0500/members/db2", benchMember(500, 1, 5)) }, []string{"c0500"}, false},
		{"the same value again", func() { s.Set("/c0500/members/db2", benchMember(500, 1, 5)) }, nil, false},
		{"another leader", func() { s.Set("/c0007/leader", "db2") }, []string{"c0007"}, false},
		{"no leader", func() { s.Del("/c0007/leader") }, []string{"c0007"}, true},
		{"a key that is not there", func() { s.Del("/c0007/leader") }, nil, false},
		{"a new key", func() { s.Set("/c0008/failover", "{}") }, []string{"c0008"}, true},
		{"a full read that finds nothing new", func() { s.Replace(contents(s)) }, nil, false},
		{"a full read that finds one change", func() {
			values := contents(s)
			values["/c0009/leader"] = "db3"
			s.Replace(values)
		}, []string{"c0009"}, false},
		{"a full read that finds a new cluster", func() {
			values := contents(s)
			values["/new/leader"] = "db3"
			s.Replace(values)
		}, []string{"new"}, true},
		{"a key outside of all clusters", func() { s.Set("/other", "1") }, nil, true},
	}
	for _, step := range steps {
		step.event()
		if found := s.clusters.paths != nil; found == step.finds {
			t.Errorf("%s: the paths of the clusters are looked for again: %v, want %v", step.name, !found, step.finds)
		}
		if diff := cmp.Diff(step.want, renewed()); diff != "" {
			t.Errorf("%s: decoded again:\n%s", step.name, diff)
		}
	}
}

func contents(s *Store) map[string]string {
	return maps.Collect(s.All())
}

// FuzzClusterCache lets a store follow events, asking for its clusters in
// between, and compares them with those of a store that has just been filled.
func FuzzClusterCache(f *testing.F) {
	f.Add([]byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"))
	f.Add([]byte("\x10\x91\x20\xa1\x33\xb3\x02\x82\xff\x7f\x10\x11\x12\x13"))
	// Keys of a plain cluster, of groups, of a namespace, and odd ones.
	keys := []string{
		"/leader", "/members/a", "/initialize", "/a/leader", "/a/members/a", "/a/members/b", "/a/status", "/a/config",
		"/a/0/leader", "/a/0/members/a", "/a/1/leader", "/a/1/members/b", "/b/c/leader", "/b/c/members/a", "/b/c//leader", "/1/leader",
	}
	f.Fuzz(func(t *testing.T, events []byte) {
		events = events[:min(len(events), 64)]
		s, model := NewStore(), map[string]string{}
		for n, event := range events {
			key := keys[event&15]
			switch event >> 4 & 7 {
			case 0, 1, 2:
				value := fmt.Sprintf(replicaOf, n%250+1, n)
				if strings.HasSuffix(key, "/leader") {
					value = string('a' + rune(n%3))
				}
				model[key] = value
				s.Set(key, value)
			case 3:
				delete(model, key)
				s.Del(key)
			case 4:
				model = keepHalf(model, []string{key}, "b")
				s.Replace(model)
			default:
				_, _ = (&Env{Store: s, Prefix: "/p"}).cluster("/a")
				s.Clusters("/p")
			}
			if event&128 != 0 {
				continue
			}
			fresh := NewStore()
			fresh.Replace(model)
			if diff := cmp.Diff(asJSON(t, fresh.Clusters("/p")), asJSON(t, s.Clusters("/p"))); diff != "" {
				t.Fatalf("after event %d:\n%s", n, diff)
			}
			for _, path := range []string{"", "/a", "/a/0", "/a/1", "/b", "/b/c", "/1"} {
				if diff := cmp.Diff(asJSON(t, fresh.cluster("/p", path)), asJSON(t, s.cluster("/p", path))); diff != "" {
					t.Fatalf("after event %d, %q:\n%s", n, path, diff)
				}
			}
		}
	})
}

func asJSON(t *testing.T, v any) string {
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestClustersOfAChangedPrefix(t *testing.T) {
	s := storeOf(map[string]string{"/batman/leader": "a"})
	for _, prefix := range []string{"/service", "/service/", "/prod"} {
		if got, want := s.Clusters(prefix)[0].Path, strings.TrimSuffix(prefix, "/")+"/batman"; got != want {
			t.Errorf("prefix %s: path %s, want %s", prefix, got, want)
		}
	}
	if got := s.Clusters("/")[0].Path; got != "/batman" {
		t.Errorf("prefix /: path %s, want /batman", got)
	}
}

func TestProblems(t *testing.T) {
	s := storeOf(map[string]string{
		"/batman/leader":     "db1",
		"/batman/members/a":  fmt.Sprintf(primaryOf, 1, 1),
		"/batman/members/c":  `{"conn_url":"postgres://localhost:5432/postgres","role":"replica","state":"running"}`,
		"/batman/members/b":  `{"conn_url":"postgres://10.0.0.2\n server evil:5432/postgres"}`,
		"/demo/0/leader":     "c1",
		"/demo/0/members/c1": `{"conn_url":"postgres://10.0.0.3:99999/postgres"}`,
	})
	if got := s.Problems(); len(got) != 0 {
		t.Errorf("problems before anything was decoded: %q", got)
	}
	s.Clusters("/service")
	want := []string{
		"/service/batman/members/b: conn_url holds the character U+000A",
		"/service/batman/members/c: conn_url names localhost, which is another host for everybody else; set postgresql.connect_address",
		"/service/demo/0/members/c1: conn_url has a port that is not a number from 1 to 65535",
	}
	if diff := cmp.Diff(want, s.Problems()); diff != "" {
		t.Errorf("problems:\n%s", diff)
	}
	s.Clusters("/service")
	if got := s.Problems(); len(got) != 0 {
		t.Errorf("problems of clusters that were decoded before: %q", got)
	}
	s.Set("/batman/leader", "a")
	s.Clusters("/service")
	if diff := cmp.Diff(want[:2], s.Problems()); diff != "" {
		t.Errorf("problems after a change:\n%s", diff)
	}
}

// TestTemplatesCannotChangeClusters renders, twice, a template that changes
// all it can reach.
func TestTemplatesCannotChangeClusters(t *testing.T) {
	env := &Env{Store: storeOf(map[string]string{
		"/leader": "a", "/config": `{"ttl":30,"nested":{"x":1}}`,
		"/members/a": `{"conn_url":"postgres://b.example,a.example:5432/postgres","state":"running","role":"primary","tags":{"zone":"a"}}`,
		"/members/b": fmt.Sprintf(replicaOf, 2, 1),
	})}
	text := `{{$c := cluster}}{{$c.Config}} {{primary.Tags}} {{primary.Addrs}} {{primary.Raw.role}} {{range members}}{{.}}{{end}}
{{- $_ := set $c.Config "ttl" 1}}{{$_ = set $c.Config.nested "x" 2}}{{$_ = merge $c.Config (dict "new" 1)}}{{$_ = mergeOverwrite $c.Config (dict "ttl" 2)}}
{{- $_ = mustMerge $c.Config (dict "y" 1)}}{{$_ = mustMergeOverwrite $c.Config (dict "z" 1)}}{{$_ = unset primary.Raw "role"}}
{{- $_ = set primary.Tags "zone" "b"}}{{$_ = sortAlpha primary.Addrs}}{{$_ = reverse primary.Addrs}}{{$_ = sortByLength primary.Addrs}}
{{- $_ = reverse members}}{{$_ = append members 1}}{{$_ = without members primary}}{{$_ = prepend members 2}}{{$_ = merge (dict) $c.Config (dict "nested" (dict "w" 1))}}`
	want := "map[nested:map[x:1] ttl:30] map[zone:a] [b.example:5432 a.example:5432] primary ab"
	for range 3 {
		if got := render(t, env, text); got != want {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
	}
	// Nor do they make it decode the clusters anew.
	before := env.Store.Clusters("")[0]
	render(t, env, text)
	if env.Store.Clusters("")[0] != before {
		t.Error("a template that changes its own copies has emptied the cache")
	}
}

func BenchmarkFindOneCluster(b *testing.B) {
	s := storeOf(map[string]string{"/leader": "a", "/members/a": fmt.Sprintf(primaryOf, 1, 1)})
	for range b.N {
		s.clusters.paths = nil
		if paths := s.clusterPaths(); len(paths) != 1 {
			b.Fatal(paths)
		}
	}
}
