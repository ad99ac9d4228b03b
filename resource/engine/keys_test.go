package engine

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"pc4patroni/backends"
	"pc4patroni/resource"
)

// Who may write below one cluster must not speak for another one: keys are what
// they are, from the store to the file.
func TestKeysOfOneClusterAreNotAnothers(t *testing.T) {
	keys := map[string]string{"/service/b/leader": "db1"}
	for _, alias := range []string{"/service/a/../b/leader", "/service//b/leader", "/service/b//leader", "/service/./b/leader", "/service/b/./leader"} {
		keys[alias] = "evil"
	}
	s := newSite(t, keys,
		"templates/a.tmpl", `{{getv "/b/leader"}} {{range gets "/b/*"}}{{.Key}}={{.Value}} {{end}}{{range ls "/b"}}{{.}}{{end}}`,
		"conf.d/a.toml", "[template]\nprefix = \"/service\"\nsrc = \"a.tmpl\"\ndest = \"OUTa.conf\"\n",
		"templates/b.tmpl", `{{getv "/leader"}} {{range gets "/*"}}{{.Key}}={{.Value}} {{end}}`,
		"conf.d/b.toml", "[template]\nprefix = \"/service/b\"\nsrc = \"b.tmpl\"\ndest = \"OUTb.conf\"\n")
	d := s.start()
	d.ready()
	d.waitFile("b.conf", "db1 /leader=db1 ")
	if got := s.read("a.conf"); !strings.HasPrefix(got, "db1 /b/leader=db1 ") {
		t.Errorf("a.conf = %q", got)
	}
	// Nor does the end of an alias end the real one.
	s.backend.del("/service/a/../b/leader", "/service//b/leader", "/service/b//leader")
	s.backend.put("/service/a/../b/leader", "evil", "/service/b/other", "x")
	waitFor(t, "the changes to arrive", func() bool {
		for _, k := range d.engine.Keys() {
			if k.Values["/service/b/other"] != "x" {
				return false
			}
		}
		return true
	})
	s.backend.put("/service/b/leader", "db2")
	waitFor(t, "the new leader", func() bool {
		return strings.HasPrefix(s.read("b.conf"), "db2 /leader=db2 ") && strings.HasPrefix(s.read("a.conf"), "db2 /b/leader=db2 ")
	})
	for _, k := range d.engine.Keys() {
		if k.Resource == "a" && k.Values["/service/a/../b/leader"] != "evil" {
			t.Errorf("the keys of a lost their names: %v", k.Values)
		}
	}
}

// A resource without keys is a static template: no backend is asked for it.
func TestStaticResource(t *testing.T) {
	s := newSite(t, nil, "templates/a.tmpl", `{{getenv "WHO"}}`,
		"conf.d/a.toml", "[template]\nsrc = \"a.tmpl\"\ndest = \"OUTa.conf\"\n",
		"conf.d/b.toml", "[template]\nprefix = \"/app\"\nkeys = []\nsrc = \"a.tmpl\"\ndest = \"OUTb.conf\"\n")
	s.opts.Getenv = func(string) string { return "me" }
	s.opts.Open = func(string) (backends.Backend, error) { return nil, errAway }
	results := s.once()
	s.wantState(results, "a", Changed, "")
	s.wantState(results, "b", Changed, "")
	d := s.start()
	d.ready()
	if got := s.read("a.conf") + s.read("b.conf"); got != "meme" {
		t.Errorf("rendered %q", got)
	}
	d.waitState("a", InSync)
}

// One denied path among many costs the others nothing: it is an answer.
func TestDeniedPathIsAnAnswer(t *testing.T) {
	files := []string{"templates/a.tmpl", hostTemplate}
	keys := map[string]string{}
	for i := range 50 {
		files = append(files, fmt.Sprintf("conf.d/%d.toml", i),
			fmt.Sprintf("[template]\nprefix = \"/app%d\"\nsrc = \"a.tmpl\"\ndest = \"OUT%d\"\n", i, i))
		keys[fmt.Sprintf("/app%d/host", i)] = "x"
	}
	s := newSite(t, keys, files...)
	s.backend.deny("/app7/")
	for name, res := range s.once() {
		want := Changed
		if name == "7" {
			want = Failed
		}
		if res.State != want {
			t.Errorf("%s is %v (%v), want %v", name, res.State, res.Err, want)
		}
	}
	if got := s.backend.readsSoFar(t); got != 50 {
		t.Errorf("%d paths were read, want each once", got)
	}
	d := s.start()
	d.ready()
	s.backend.put("/app8/host", "y")
	d.waitFile("8", "y\n")
	s.backend.mu.Lock()
	defer s.backend.mu.Unlock()
	if s.backend.watches != 1 || len(s.backend.reads) != 100 {
		t.Errorf("%d watches and %d reads, want one watch that reads each path once", s.backend.watches, len(s.backend.reads)-50)
	}
}

// Where a key has two paths, one of which may not be read, the other will do.
func TestDeniedOnlyIfNoPathOfAKeyMayBeRead(t *testing.T) {
	s := newSite(t, map[string]string{"/app/host": "x"}, "templates/a.tmpl", `{{getv "/app/host"}}`,
		"conf.d/a.toml", "[template]\nkeys = [\"/app\"]\nsrc = \"a.tmpl\"\ndest = \"OUTa.conf\"\n")
	s.backend.deny("/app")
	s.wantState(s.once(), "a", Changed, "")
	s.backend.deny("/app", "/app/")
	s.wantState(s.once(), "a", Failed, "/app: access denied")
}

// The full read of each interval goes on beside the watch.
func TestIntervalDoesNotEndTheWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml", plainResource)
		d := s.startWith(50*time.Millisecond, true)
		waitFor(t, "some full reads", func() bool { return len(d.events.of(Resynced, "")) > 3 })
		s.backend.put("/app/host", "10.0.0.2")
		d.waitFile("a.conf", "10.0.0.2\n")
		s.backend.mu.Lock()
		defer s.backend.mu.Unlock()
		if s.backend.watches != 1 {
			t.Errorf("%d watches, want one", s.backend.watches)
		}
	})
}

// However many changes come while a unit is busy, no more is kept than the last
// of each key.
func TestChangesOfBusyUnitDoNotPileUp(t *testing.T) {
	k := newKeys(&resource.Resource{Prefix: "/app", Keys: []string{"/app/"}, Paths: []string{"/app/"}})
	k.apply(&backends.Update{Path: "/app/", Keys: map[string]string{"/app/a": "0"}})
	if _, err := k.take(); err != nil {
		t.Fatal(err)
	}
	for i := range 10_000 {
		k.apply(&backends.Update{Path: "/app/", Changes: []backends.Change{{Key: fmt.Sprintf("/app/%d", i%5), Value: fmt.Sprint(i)}}})
	}
	if got := len(k.changes); got != 5 {
		t.Errorf("%d changes are kept, want one for each key", got)
	}
	if _, err := k.take(); err != nil {
		t.Fatal(err)
	}
	if value, _ := k.store.Get("/4"); value != "9999" {
		t.Errorf("the last value is %q", value)
	}
}

// What moves positions alone waits for others of its kind; a key that is merely
// called as Patroni's does not.
func TestUrgency(t *testing.T) {
	for _, tt := range []struct {
		name          string
		key           string
		before, after string // "" is no key
		want          urgency
	}{
		{"status of Patroni", "/status", `{"optime":1}`, `{"optime":2}`, relaxed},
		{"status of another program", "/status", "open", "closed", urgent},
		{"leader", "/leader", "db1", "db2", urgent},
		{"same value", "/leader", "db1", "db1", relaxed},
		{"new key", "/members/db1", "", "{}", urgent},
		{"key that is gone", "/members/db1", "{}", "", settling},
		{"leader that is gone", "/leader", "db1", "", headless},
		{"another resource's", "/other/leader", "db1", "db2", nothing},
	} {
		res := &resource.Resource{Prefix: "/", Keys: []string{"/leader", "/members/", "/status"}, Paths: []string{"/"}}
		k := newKeys(res)
		values := map[string]string{}
		if tt.before != "" {
			values[tt.key] = tt.before
		}
		k.apply(&backends.Update{Path: "/", Keys: values})
		c := backends.Change{Key: tt.key, Value: tt.after, Deleted: tt.after == ""}
		if got := k.apply(&backends.Update{Path: "/", Changes: []backends.Change{c}}); got != tt.want {
			t.Errorf("%s: urgency %d, want %d", tt.name, got, tt.want)
		}
	}
}

// A cluster that is removed key by key is not installed with half of its
// members; one that is gone holds the resource.
func TestWipedKeyByKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := map[string]string{"/app/config": "{}", "/app/leader": "m0", "/app/status": `{"optime":1}`}
		for i := range 6 {
			keys[fmt.Sprintf("/app/members/m%d", i)] = "x"
		}
		s := newSite(t, keys, "templates/a.tmpl", `{{range gets "/members/*"}}{{.Key}} {{end}}`,
			"conf.d/a.toml", plainResource+`reload_cmd = "cat OUTa.conf >>OUTreloads; echo >>OUTreloads"`)
		d := s.start()
		d.ready()
		waitFor(t, "the first reload", func() bool { return exists(s.out("reloads")) })
		before := s.read("a.conf")
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			s.backend.del(key)
			time.Sleep(10 * time.Millisecond) // as etcdctl does, one key after the other
		}
		d.waitState("a", Held)
		if got := s.read("a.conf"); got != before {
			t.Errorf("a.conf = %q, want it as it was", got)
		}
		if got := strings.Count(s.read("reloads"), "\n"); got != 1 {
			t.Errorf("%d reloads, want the first one only", got)
		}
		// A leader is acted upon at once.
		began := time.Now()
		s.backend.put("/app/members/m9", "x")
		d.waitFile("a.conf", "/members/m9 ")
		if took := time.Since(began); took > settlingDelay {
			t.Errorf("what came back took %v", took)
		}
	})
}

// A single key that is gone is acted upon soon.
func TestGoneKeyIsActedUpon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, map[string]string{"/app/a": "1", "/app/b": "2"}, "templates/a.tmpl", `{{range gets "/*"}}{{.Key}} {{end}}`,
			"conf.d/a.toml", plainResource)
		d := s.start()
		d.waitFile("a.conf", "/a /b ")
		began := time.Now()
		s.backend.del("/app/b")
		d.waitFile("a.conf", "/a ")
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestKeysAreToldDuringCommand(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml",
		plainResource+`reload_cmd = "echo x >OUTrunning; while ! test -e OUTgo; do sleep 0.01; done"`)
	d := s.start()
	waitFor(t, "the reload to run", func() bool { return exists(s.out("running")) })
	s.backend.put("/app/port", "1")
	want := []Keys{{Resource: "a", Values: map[string]string{"/app/host": "10.0.0.1", "/app/port": "1"}}}
	waitFor(t, "the newest keys", func() bool { return cmp.Equal(want, d.engine.Keys()) })
	if err := os.WriteFile(s.out("go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestKeysWithoutRun(t *testing.T) {
	if got := New(Options{}).Keys(); got != nil {
		t.Errorf("an engine that does not run has keys %v", got)
	}
}
