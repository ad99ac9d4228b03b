package patroni

import (
	"fmt"
	"maps"
	"slices"
	"testing"
)

// BenchmarkDecode decodes one cluster of three members, as is done after each
// heartbeat.
func BenchmarkDecode(b *testing.B) {
	keys := relative(loadFixture(b, "ref-01-healthy"), "/service/batman")
	b.ReportAllocs()
	for b.Loop() {
		if c := Decode("/service/batman", keys); len(c.Readers) != 2 {
			b.Fatal("decoded wrongly")
		}
	}
}

// BenchmarkMember decodes one member.
func BenchmarkMember(b *testing.B) {
	text := relative(loadFixture(b, "ref-12-lag-tags-proxy"), "/service/batman")["members/node-2"]
	b.ReportAllocs()
	for b.Loop() {
		if m := decodeMember("node-2", text, ""); !m.Usable() {
			b.Fatal(m.Problem)
		}
	}
}

// manyKeys returns the sorted keys of n clusters of six keys each.
func manyKeys(n int) []string {
	keys := map[string]bool{}
	for i := range n {
		for _, key := range []string{"config", "initialize", "leader", "members/db1", "members/db2", "status"} {
			keys[fmt.Sprintf("/service/cluster-%04d/%s", i, key)] = true
		}
	}
	return slices.Sorted(maps.Keys(keys))
}

// BenchmarkFind finds 1,000 clusters among 6,000 keys.
func BenchmarkFind(b *testing.B) {
	keys := manyKeys(1000)
	b.ReportAllocs()
	for b.Loop() {
		if paths := Find(slices.Values(keys)); len(paths) != 1000 {
			b.Fatal("found wrongly")
		}
	}
}
