package funcs

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/kelseyhightower/memkv"
)

// reference is memkv itself: with every key, and with the clean ones alone,
// which are those that have a place in a directory.
type reference struct{ all, clean *memkv.Store }

func referenceOf(model map[string]string) reference {
	all, clean := memkv.New(), memkv.New()
	r := reference{&all, &clean}
	for key, value := range model {
		r.all.Set(key, value)
		if strings.HasPrefix(key, "/") && path.Clean(key) == key && key != "/" {
			r.clean.Set(key, value)
		}
	}
	return r
}

// alike compares every answer of a store with those of memkv.
func alike(t *testing.T, s *Store, model map[string]string, question string) {
	t.Helper()
	plain := referenceOf(model)
	gotPairs, gotErr := s.gets(question)
	wantPairs, wantErr := plain.all.GetAll(question)
	if diff := cmp.Diff(wantPairs, gotPairs); diff != "" || gotErr != wantErr {
		t.Fatalf("gets(%q): error %v, want %v; keys %q\n%s", question, gotErr, wantErr, s.keys, diff)
	}
	gotValues, gotErr := s.getvs(question)
	wantValues, wantErr := plain.all.GetAllValues(question)
	if diff := cmp.Diff(wantValues, gotValues); diff != "" || gotErr != wantErr {
		t.Fatalf("getvs(%q): error %v, want %v; keys %q\n%s", question, gotErr, wantErr, s.keys, diff)
	}
	listed := plain.clean
	if dir := strings.TrimSuffix(question, "/"); question != "/" && !isClean(dir) {
		listed = plain.all
	}
	if diff := cmp.Diff(listed.List(question), s.ls(question)); diff != "" {
		t.Fatalf("ls(%q): keys %q\n%s", question, s.keys, diff)
	}
	if diff := cmp.Diff(listed.ListDir(question), s.lsdir(question)); diff != "" {
		t.Fatalf("lsdir(%q): keys %q\n%s", question, s.keys, diff)
	}
	gotValue, gotThere := s.Get(question)
	if want, err := plain.all.Get(question); want.Value != gotValue || gotThere != (err == nil) {
		t.Fatalf("Get(%q) = %q, %v; want %q, %v", question, gotValue, gotThere, want.Value, err)
	}
}

// holds checks that the store and its index hold exactly want.
func holds(t *testing.T, s *Store, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	for key, value := range s.All() {
		if _, twice := got[key]; twice {
			t.Fatalf("key %q is in the index twice", key)
		}
		got[key] = value
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("the store differs:\n%s", diff)
	}
	if s.Len() != len(want) {
		t.Fatalf("Len() = %d, want %d", s.Len(), len(want))
	}
	if !slices.IsSorted(s.keys) {
		t.Fatalf("index out of order: %q", s.keys)
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
	f.Add("+/a/../b/x\n+/b/y\n+/b//z\n+/b/.\n?/b\n?/b/\n?/b//\n?/a/../b\n?/b/*\n-/a/../b/x\n?/b")
	f.Fuzz(func(t *testing.T, script string) {
		s, model := NewStore(), map[string]string{}
		for n, line := range strings.Split(script, "\n") {
			if line == "" {
				continue
			}
			key, value := line[1:], fmt.Sprint("v", (n*7)%13)
			switch line[0] {
			case '+':
				s.Set(key, value)
				model[key] = value
			case '-':
				s.Del(key)
				delete(model, key)
			case '=':
				// Keep every other key, and add those that the line lists.
				model = keepHalf(model, strings.Split(key, ","), value)
				s.Replace(model)
			case '?':
				alike(t, s, model, key)
			}
			holds(t, s, model)
		}
		for key := range model {
			for _, question := range []string{key, key + "/", key + "*", key + "/*", strings.ReplaceAll(key, "a", "?")} {
				alike(t, s, model, question)
			}
			if at := strings.LastIndexByte(key, '/'); at >= 0 {
				alike(t, s, model, key[:at])
				alike(t, s, model, key[:at+1])
				alike(t, s, model, key[:at]+"/*")
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
		s, model := NewStore(), map[string]string{}
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
				delete(model, key)
			default:
				s.Set(key, value)
				model[key] = value
			}
		}
		if random.IntN(4) == 0 {
			model = keepHalf(model, []string{word(pieces, 6), word(pieces, 6)}, "new")
			s.Replace(model)
		}
		holds(t, s, model)
		for range 60 {
			alike(t, s, model, word(meta, 7))
			alike(t, s, model, "/"+word(meta, 5))
		}
	}
}

// TestStoreQuirks writes down what surprises people in memkv, so that a
// difference shows here with its reason and not only in the fuzzer.
func TestStoreQuirks(t *testing.T) {
	s := NewStore()
	s.Replace(map[string]string{
		"/leader": "db1", "/members/db1": "1", "/members/db2": "2", "/0/leader": "c1", "/0/members/c1": "3",
	})
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

// TestKeysStayBelowTheirPath lets somebody who may write below /a, and has
// heard of path.Clean, try to become the primary of /b.
func TestKeysStayBelowTheirPath(t *testing.T) {
	const evil = `{"conn_url":"postgres://6.6.6.6:5432/postgres","state":"running","role":"primary"}`
	good := map[string]string{
		"/b/leader":      "db1",
		"/b/members/db1": fmt.Sprintf(primaryOf, 1, 1),
		"/b/members/db2": fmt.Sprintf(replicaOf, 2, 1),
	}
	const text = `{{range clusters}}{{.Path}} {{primary .}} {{join .Members ","}}{{end}} {{ls "/b"}} {{ls "/b/members"}} {{lsdir "/b"}} {{len (gets "/b/members/*")}} {{getv "/b/leader"}}`
	env := &Env{Store: storeOf(good), Prefix: "/service"}
	want := render(t, env, text)
	for _, key := range []string{
		"/a/../b/leader", "/a/../b/members/db1", "/a/../b/members/evil", "/b//leader", "//b/leader", "/./b/leader", "/b/./members/evil",
		"/b/members//evil", "/b/members/x/../evil", "/b/leader/", "/b/members/db1/",
	} {
		env.Store.Set(key, evil)
		if got := render(t, env, text); got != want {
			t.Errorf("with the key %s\n got %s\nwant %s", key, got, want)
		}
		if got, want := render(t, env, fmt.Sprintf("{{getv %q}}", key)), evil; got != want {
			t.Errorf("the key %s has lost its name: its value is %q", key, got)
		}
		// The end of the key with the odd name is not the end of the real one.
		env.Store.Del(key)
		if got := render(t, env, text); got != want {
			t.Errorf("after the key %s was deleted\n got %s\nwant %s", key, got, want)
		}
	}
	// gets matches the key as it is written, so this one is found there alone.
	env.Store.Set("/b/members/..", evil)
	if got := render(t, env, `{{join (cluster "/b").Members ","}} {{ls "/b/members"}}`); got != "db1,db2 [db1 db2]" {
		t.Errorf("a member named .. gives %s", got)
	}
}
