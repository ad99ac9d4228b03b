package funcs

import (
	"fmt"
	"io"
	"iter"
	"maps"
	"testing"
	"text/template"
	"time"

	"github.com/kelseyhightower/memkv"
)

const (
	benchClusters = 1000
	benchMembers  = 3
)

// namespace yields the keys of 1,000 clusters, six each.
func namespace() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for n := range benchClusters {
			scope := fmt.Sprintf("/c%04d", n)
			ok := yield(scope+"/initialize", "7512345678901234567") &&
				yield(scope+"/leader", "db1") &&
				yield(scope+"/status", `{"optime":117440792,"slots":{"db2":117440792,"db3":117440792,"db1":117440792},"retain_slots":["db1","db2","db3"]}`)
			for m := range benchMembers {
				ok = ok && yield(fmt.Sprintf("%s/members/db%d", scope, m+1), benchMember(n, m, 117440792))
			}
			if !ok {
				return
			}
		}
	}
}

func benchMember(cluster, member, position int) string {
	role := "replica"
	if member == 0 {
		role = "primary"
	}
	address := fmt.Sprintf("10.%d.%d.%d", cluster>>8, cluster&255, member+1)
	return fmt.Sprintf(`{"conn_url":"postgres://%s:5432/postgres","api_url":"http://%s:8008/patroni","state":"running","role":"%s",`+
		`"version":"4.1.4","xlog_location":%d,"replay_lsn":%[4]d,"receive_lsn":%[4]d,"replication_state":"streaming","timeline":3}`,
		address, address, role, position)
}

// nested is what templates over a namespace look like: a loop in a loop, and
// reads inside. It asks gets for the clusters, because ls "/" has no
// directories.
const nested = `{{range gets "/*/leader"}}{{$scope := base (dir .Key)}}
backend {{$scope}} # {{getv (printf "/%s/initialize" $scope)}}
{{range gets (printf "/%s/members/*" $scope)}}  server {{base .Key}} {{len .Value}}
{{end}}{{range ls (printf "/%s/members" $scope)}}{{.}} {{end}}{{range lsdir (printf "/%s" $scope)}}{{.}} {{end}}
{{end}}`

func parse(tb testing.TB, functions template.FuncMap, text string) *template.Template {
	tb.Helper()
	parsed, err := template.New("test.tmpl").Funcs(functions).Parse(text)
	if err != nil {
		tb.Fatal(err)
	}
	return parsed
}

func execute(tb testing.TB, parsed *template.Template) time.Duration {
	tb.Helper()
	start := time.Now()
	if err := parsed.Execute(io.Discard, nil); err != nil {
		tb.Fatal(err)
	}
	return time.Since(start)
}

// BenchmarkNestedLoops renders the template over 1,000 clusters and 6,000
// keys; the same with plain memkv, measured once in the same run, is what
// times-faster compares it with.
func BenchmarkNestedLoops(b *testing.B) {
	env := &Env{Store: NewStore(), Prefix: "/service"}
	env.Store.Replace(maps.Collect(namespace()))
	functions := Map(env)
	ours := parse(b, functions, nested)

	plain := memkv.New()
	for key, value := range namespace() {
		plain.Set(key, value)
	}
	theirs := parse(b, functions, nested)
	theirs.Funcs(plain.FuncMap)
	yardstick := execute(b, theirs)
	execute(b, ours)

	b.ResetTimer()
	for range b.N {
		execute(b, ours)
	}
	perRender := b.Elapsed() / time.Duration(b.N)
	b.ReportMetric(float64(perRender.Microseconds())/1000, "ms/render")
	b.ReportMetric(float64(yardstick.Microseconds())/1000, "ms/memkv")
	b.ReportMetric(float64(yardstick)/float64(perRender), "times-faster")
}

// BenchmarkClustersLoop renders every primary and reader of 1,000 clusters
// after a heartbeat in one of them.
func BenchmarkClustersLoop(b *testing.B) {
	env := &Env{Store: NewStore(), Prefix: "/service"}
	env.Store.Replace(maps.Collect(namespace()))
	parsed := parse(b, Map(env), `{{range clusters}}{{.Scope}} {{primary .}} {{range readers .}}{{.Addr}} {{end}}
{{end}}`)
	execute(b, parsed)
	b.ResetTimer()
	for n := range b.N {
		env.Store.Set("/c0500/members/db2", benchMember(500, 1, n))
		execute(b, parsed)
	}
}

// TestNestedLoopsAreFast holds the growth of BenchmarkNestedLoops with fewer
// clusters: memkv takes the square of their number, so that a factor of five is
// safe on a busy machine where thirty is usual.
func TestNestedLoopsAreFast(t *testing.T) {
	env, plain := &Env{Store: NewStore()}, memkv.New()
	for key, value := range namespace() {
		if key < "/c0300" {
			env.Store.Set(key, value)
			plain.Set(key, value)
		}
	}
	functions := Map(env)
	ours := parse(t, functions, nested)
	theirs := parse(t, functions, nested)
	theirs.Funcs(plain.FuncMap)
	best := func(parsed *template.Template) time.Duration {
		return min(execute(t, parsed), execute(t, parsed), execute(t, parsed))
	}
	if fast, slow := best(ours), best(theirs); slow < 5*fast {
		t.Errorf("300 clusters in %s, with plain memkv in %s", fast, slow)
	}
}

func BenchmarkSet(b *testing.B) {
	store := NewStore()
	store.Replace(maps.Collect(namespace()))
	store.Clusters("/service")
	values := [2]string{benchMember(500, 1, 1), benchMember(500, 1, 2)}
	b.Run("heartbeat", func(b *testing.B) {
		b.ReportAllocs()
		for n := range b.N {
			store.Set("/c0500/members/db2", values[n%2])
		}
	})
	b.Run("failover", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			store.Del("/c0500/leader")
			store.Set("/c0500/leader", "db2")
		}
	})
}

func BenchmarkReplace(b *testing.B) {
	values := maps.Collect(namespace())
	b.Run("empty", func(b *testing.B) {
		for range b.N {
			NewStore().Replace(values)
		}
	})
	b.Run("same", func(b *testing.B) {
		store := NewStore()
		for range b.N {
			store.Replace(values)
		}
	})
	b.Run("yardstick", func(b *testing.B) {
		for range b.N {
			plain := memkv.New()
			for key, value := range namespace() {
				plain.Set(key, value)
			}
		}
	})
}

// BenchmarkDecode decodes the one cluster of 1,000 in which a member's key
// has changed; find is what a new key costs beside it.
func BenchmarkDecode(b *testing.B) {
	store := NewStore()
	store.Replace(maps.Collect(namespace()))
	store.Clusters("/service")
	values := [2]string{benchMember(500, 1, 1), benchMember(500, 1, 2)}
	b.Run("heartbeat", func(b *testing.B) {
		b.ReportAllocs()
		for n := range b.N {
			store.Set("/c0500/members/db2", values[n%2])
			store.cluster("/service", "/c0500")
		}
	})
	b.Run("find", func(b *testing.B) {
		for range b.N {
			store.clusters.paths = nil
			store.clusterPaths()
		}
	})
	b.Run("all", func(b *testing.B) {
		for range b.N {
			store.Clusters("/service")
		}
	})
}

func BenchmarkMap(b *testing.B) {
	b.ReportAllocs()
	env := &Env{Store: NewStore()}
	b.Run("build", func(b *testing.B) {
		for range b.N {
			Map(env)
		}
	})
	b.Run("parse", func(b *testing.B) {
		for range b.N {
			parse(b, Map(env), `{{primary.Addr}}`)
		}
	})
}
