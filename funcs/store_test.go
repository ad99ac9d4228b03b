package funcs

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/kelseyhightower/memkv"
)

// alike compares every answer of a store with those of a plain memkv that
// holds the same keys.
func alike(t *testing.T, s *Store, plain *memkv.Store, question string) {
	t.Helper()
	gotPairs, gotErr := s.gets(question)
	wantPairs, wantErr := plain.GetAll(question)
	if diff := cmp.Diff(wantPairs, gotPairs); diff != "" || gotErr != wantErr {
		t.Fatalf("gets(%q): error %v, want %v; keys %q\n%s", question, gotErr, wantErr, slices.Collect(s.keys()), diff)
	}
	gotValues, gotErr := s.getvs(question)
	wantValues, wantErr := plain.GetAllValues(question)
	if diff := cmp.Diff(wantValues, gotValues); diff != "" || gotErr != wantErr {
		t.Fatalf("getvs(%q): error %v, want %v; keys %q\n%s", question, gotErr, wantErr, slices.Collect(s.keys()), diff)
	}
	if diff := cmp.Diff(plain.List(question), s.ls(question)); diff != "" {
		t.Fatalf("ls(%q): keys %q\n%s", question, slices.Collect(s.keys()), diff)
	}
	if diff := cmp.Diff(plain.ListDir(question), s.lsdir(question)); diff != "" {
		t.Fatalf("lsdir(%q): keys %q\n%s", question, slices.Collect(s.keys()), diff)
	}
	gotValue, gotThere := s.Get(question)
	if want, err := plain.Get(question); want.Value != gotValue || gotThere != (err == nil) {
		t.Fatalf("Get(%q) = %q, %v; want %q, %v", question, gotValue, gotThere, want.Value, err)
	}
}

// holds checks that the store and its index hold exactly want.
func holds(t *testing.T, s *Store, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	for key := range s.keys() {
		value, ok := s.Get(key)
		if _, twice := got[key]; twice || !ok {
			t.Fatalf("key %q is in the index twice (%v) or not in the store (%v)", key, twice, !ok)
		}
		got[key] = value
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("the store differs:\n%s", diff)
	}
	if s.Len() != len(want) {
		t.Fatalf("Len() = %d, want %d", s.Len(), len(want))
	}
	if !slices.IsSorted(s.clean) {
		t.Fatalf("index out of order: %q", s.clean)
	}
}

// FuzzStore reads a script: each line begins with what to do, and the rest of
// it is a key, a pattern or a path. A store and a plain memkv follow it.
func FuzzStore(f *testing.F) {
	f.Add("+/a/b\n+/a/c\n?/a\n?/a/\n?/a/*\n-/a/b\n?/a/*")
	f.Add("+/leader\n+/members/db1\n?/\n?\n?/members\n?/*\n?/*/*\n?/[lm]*")
	f.Add("+/a\n+/a-b\n+/a/x\n+/a/x/y\n?/\n?/a\n?/*\n?/a/x")
	f.Add("+/a//b\n+a\n+a/b\n+/a/\n+//\n+/\n+\n?/a\n?/a/\n?/a//\n?/a//b\n?/\n?//\n?\n?a\n?*\n?.\n?..\n?./a")
	f.Add("+/a/.h/x\n+/a/..x/y\n+/a/../b\n?/a/.\n?/a/..\n?/a/../b\n?/.\n?/..")
	f.Add("+/a/*\n+/a/[x]\n+/a/\\\n?/a/\\*\n?/a/[[]x]\n?/a/[^b]\n?/a[/]*\n?/a[^b]*\n?[^a]a/*\n?[\n?/a/[\n?/a/[]a]\n?/a/\\")
	f.Add("+/é/ü\n+/\xff\n?/?\n?/*\n?/?/?\n?/\xff\n?/[é]/*")
	f.Add("=/x\n+/y\n=/x\n?/*\n=\n?/*")
	f.Fuzz(func(t *testing.T, script string) {
		s, plain, model := NewStore(), memkv.New(), map[string]string{}
		for n, line := range strings.Split(script, "\n") {
			if line == "" {
				continue
			}
			key, value := line[1:], fmt.Sprint("v", (n*7)%13)
			switch line[0] {
			case '+':
				s.Set(key, value)
				plain.Set(key, value)
				model[key] = value
			case '-':
				s.Del(key)
				plain.Del(key)
				delete(model, key)
			case '=':
				// Keep every other key, and add those that the line lists.
				model = keepHalf(model, strings.Split(key, ","), value)
				s.Replace(maps.All(model))
				plain.Purge()
				for k, v := range model {
					plain.Set(k, v)
				}
			case '?':
				alike(t, s, &plain, key)
			}
			holds(t, s, model)
		}
		for key := range model {
			for _, question := range []string{key, key + "/", key + "*", key + "/*", strings.ReplaceAll(key, "a", "?")} {
				alike(t, s, &plain, question)
			}
			if at := strings.LastIndexByte(key, '/'); at >= 0 {
				alike(t, s, &plain, key[:at])
				alike(t, s, &plain, key[:at+1])
				alike(t, s, &plain, key[:at]+"/*")
			}
		}
	})
}

func keepHalf(model map[string]string, add []string, value string) map[string]string {
	kept := map[string]string{}
	for i, key := range slices.Sorted(maps.Keys(model)) {
		if i%2 == 0 {
			kept[key] = model[key]
		}
	}
	for _, key := range add {
		kept[key] = value
	}
	return kept
}

// TestStoreLikeMemkv does what the fuzzer does with keys and questions put
// together from the pieces that matter, so that every run of the tests
// compares tens of thousands of answers.
func TestStoreLikeMemkv(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pieces := []string{"a", "b", "ab", "a-b", "a0", "/", "/", "/", "/", "//", ".", "..", "é", "0", "members", "leader"}
	meta := append([]string{"*", "*", "?", "[a-b]", "[^a]", "[", "]", `\`, `\a`, "-", "[/]", "a*", "*/"}, pieces...)
	word := func(from []string, most int) string {
		var b strings.Builder
		for range random.IntN(most) + 1 {
			b.WriteString(from[random.IntN(len(from))])
		}
		return b.String()
	}
	for range 400 {
		s, plain, model := NewStore(), memkv.New(), map[string]string{}
		rooted := random.IntN(2) == 0
		for range random.IntN(30) {
			key := word(pieces, 8)
			if rooted {
				key = "/" + strings.Trim(key, "/")
			}
			value := word(pieces, 1)
			switch random.IntN(8) {
			case 0:
				s.Del(key)
				plain.Del(key)
				delete(model, key)
			default:
				s.Set(key, value)
				plain.Set(key, value)
				model[key] = value
			}
		}
		if random.IntN(4) == 0 {
			model = keepHalf(model, []string{word(pieces, 6), word(pieces, 6)}, "new")
			s.Replace(maps.All(model))
			plain.Purge()
			for k, v := range model {
				plain.Set(k, v)
			}
		}
		holds(t, s, model)
		for range 60 {
			alike(t, s, &plain, word(meta, 7))
			alike(t, s, &plain, "/"+word(meta, 5))
		}
	}
}

// TestStoreQuirks writes down what surprises people in memkv, so that a
// difference shows here with its reason and not only in the fuzzer.
func TestStoreQuirks(t *testing.T) {
	s := NewStore()
	s.Replace(maps.All(map[string]string{
		"/leader": "db1", "/members/db1": "1", "/members/db2": "2", "/0/leader": "c1", "/0/members/c1": "3",
	}))
	tests := []struct {
		name string
		got  []string
		want []string
	}{
		{"the keys at the top, not the directories", s.ls("/"), []string{"leader"}},
		{"no directory at the top", s.lsdir("/"), []string{}},
		{"a key lists itself", s.ls("/leader"), []string{"leader"}},
		{"but not with a slash", s.ls("/leader/"), []string{}},
		{"names below", s.ls("/members"), []string{"db1", "db2"}},
		{"a slash at the end changes nothing", s.ls("/members/"), []string{"db1", "db2"}},
		{"directories only", s.lsdir("/0"), []string{"members"}},
		{"part of a name is not a directory", s.ls("/mem"), []string{}},
		{"no slash in front", s.ls("members"), []string{}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, tt.got); diff != "" {
			t.Errorf("%s:\n%s", tt.name, diff)
		}
	}
}

func TestReplaceTakesTheLastOfEqualKeys(t *testing.T) {
	s := NewStore()
	s.Replace(func(yield func(string, string) bool) {
		_ = yield("/a", "1") && yield("/b", "1") && yield("/a", "2") && yield("b", "1") && yield("b", "2")
	})
	holds(t, s, map[string]string{"/a": "2", "/b": "1", "b": "2"})
	s.Replace(func(func(string, string) bool) {})
	holds(t, s, map[string]string{})
}
