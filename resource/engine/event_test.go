package engine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestEvents(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml",
		plainResource+`
check_cmd = "! grep -q bad {{.src}}"
reload_cmd = "echo x >>OUTreloads; ! test -e OUTbroken"`)
	openUp(t, s.out(""))
	d := s.start()
	d.ready()
	waitFor(t, "the first reload", func() bool { return len(d.events.of(Installed, "a")) == 1 })
	s.write("out/broken", "")
	s.backend.put("/app/host", "10.0.0.2")
	waitFor(t, "a reload to fail", func() bool { return d.state("a").State == Failed })
	if err := os.Remove(s.out("broken")); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the reload to succeed", func() bool { return d.state("a").State == Changed })
	s.backend.put("/app/host", "bad")
	waitFor(t, "the check to fail", func() bool { return d.state("a").State == Failed })
	s.backend.put("/app/host", "10.0.0.2")
	waitFor(t, "the recovery", func() bool { return len(d.events.of(Recovered, "a")) == 1 })

	want := []Event{
		{Kind: Installed, Resource: "a", New: true, After: []byte("10.0.0.1\n"), Public: true},
		{Kind: Installed, Resource: "a", Before: []byte("10.0.0.1\n"), After: []byte("10.0.0.2\n"), Public: true},
	}
	if diff := cmp.Diff(want, d.events.of(Installed, ""), cmpopts.IgnoreFields(Event{}, "Time")); diff != "" {
		t.Errorf("installed (-want +got):\n%s", diff)
	}
	var failures, latencies int
	for _, ev := range d.events.of(Reloaded, "a") {
		if ev.Took <= 0 {
			t.Errorf("a reload took %v", ev.Took)
		}
		if ev.Err != nil {
			failures++
		}
		if ev.Latency > 0 {
			latencies++
		}
	}
	if failures == 0 || latencies != 2 {
		t.Errorf("%d failed reloads, %d latencies; want some and one for each of two changes", failures, latencies)
	}
	if got := d.events.of(Checked, "a"); len(got) < 3 || got[len(got)-1].Err == nil {
		t.Errorf("checks: %+v", got)
	}
	if len(d.events.of(BackendUp, "")) != 1 || len(d.events.of(Received, "")) != 3 {
		t.Errorf("the backend: %+v, %+v", d.events.of(BackendUp, ""), d.events.of(Received, ""))
	}
}

// What only some users may read must not become public.
func TestInstalledIsPublic(t *testing.T) {
	for _, c := range []struct {
		name string
		old  os.FileMode // 0 is no file
		mode string
		dir  os.FileMode
		want bool
	}{
		{name: "readable before and after", old: 0o644, mode: "0644", dir: 0o755, want: true},
		{name: "new", mode: "0644", dir: 0o755, want: true},
		{name: "was private", old: 0o640, mode: "0644", dir: 0o755},
		{name: "becomes private", old: 0o644, mode: "0640", dir: 0o755},
		{name: "new and private", mode: "0600", dir: 0o755},
		{name: "in a private folder", old: 0o644, mode: "0644", dir: 0o750},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml", plainResource+"mode = \""+c.mode+"\"\n")
			openUp(t, s.out(""))
			if c.old != 0 {
				s.write("out/a.conf", "old")
				if err := os.Chmod(s.out("a.conf"), c.old); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(s.out(""), c.dir); err != nil {
				t.Fatal(err)
			}
			s.wantState(s.once(), "a", Changed, "")
			if got := s.events.of(Installed, "a"); len(got) != 1 || got[0].Public != c.want {
				t.Errorf("got %+v, want public %v", got, c.want)
			}
		})
	}
}

// What a check printed may quote the file, so it is as private as the file is or
// will be.
func TestOutputIsPublic(t *testing.T) {
	for _, c := range []struct {
		name string
		old  os.FileMode
		mode string
		want bool
	}{
		{name: "readable before and after", old: 0o644, want: true},
		{name: "private", old: 0o640},
		{name: "becomes private", old: 0o644, mode: `mode = "0640"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml", plainResource+c.mode+`
check_cmd = "echo said; false"`)
			openUp(t, s.out(""))
			s.write("out/a.conf", "old")
			if err := os.Chmod(s.out("a.conf"), c.old); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(s.out(""), 0o755); err != nil {
				t.Fatal(err)
			}
			s.once()
			if got := s.events.of(Checked, "a"); len(got) != 1 || got[0].Output != "said" || got[0].Public != c.want {
				t.Errorf("got %+v, want public %v", got, c.want)
			}
		})
	}
}

// openUp lets everybody pass through the folders above a path that belong to
// the test.
func openUp(t *testing.T, path string) {
	t.Helper()
	for dir := filepath.Dir(path); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAskingDisturbsNothing asks all the time while keys and configuration
// change; it is for the race detector too.
func TestAskingDisturbsNothing(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml", plainResource+`reload_cmd = "true"`)
	d := s.start()
	d.ready()
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan int, 2)
	for range cap(asked) {
		go func() {
			n := 0
			for ctx.Err() == nil {
				d.engine.Keys()
				d.engine.Status()
				n++
			}
			asked <- n
		}()
	}
	for i := range 20 {
		s.backend.put("/app/host", fmt.Sprintf("10.0.0.%d", i))
		if i%5 == 0 {
			s.write("conf.d/a.toml", plainResource+fmt.Sprintf("reload_cmd = \"true # %d\"", i))
			d.reload()
		}
		d.waitFile("a.conf", fmt.Sprintf("10.0.0.%d\n", i))
	}
	cancel()
	if n := <-asked + <-asked; n < 10 {
		t.Errorf("asked %d times only", n)
	}
	if held := d.engine.Keys(); len(held) != 1 || held[0].Values["/app/host"] != "10.0.0.19" {
		t.Errorf("in the end the keys are %v", held)
	}
}
