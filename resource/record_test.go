package resource

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pc4patroni/backends"
)

// shown makes a text of all that a diff could show.
func shown(old, now []byte, public bool) string {
	return fmt.Sprintf("%q -> %q public=%v", old, now, public)
}

func (d *daemon) record(name string) Record {
	return d.engine.Records()[filepath.Join(d.dir, "conf.d", name+".toml")]
}

func TestRecords(t *testing.T) {
	began := time.Now()
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml",
		plainResource+`
check_cmd = "! grep -q bad {{.src}}"
reload_cmd = "echo x >>OUTreloads; ! test -e OUTbroken"`)
	s.opts.Diff = shown
	d := s.start(watching)
	d.ready()
	waitFor(t, "the first success", func() bool { return !d.record("a").LastSuccess.IsZero() })
	first := d.record("a")
	if !first.Change.New || first.Change.At.Before(began) || first.LastSuccess.Before(began) {
		t.Errorf("the new file has the record %+v", first)
	}
	s.write("out/broken", "")
	s.backend.put("/app/host", "10.0.0.2")
	waitFor(t, "a reload to fail", func() bool { return d.record("a").Reload.Failures > 0 })
	if got := d.record("a").LastSuccess; !got.Equal(first.LastSuccess) {
		t.Errorf("a failed reload moved the last success to %v", got)
	}
	if err := os.Remove(s.out("broken")); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the reload to succeed", func() bool { return d.record("a").LastSuccess.After(first.LastSuccess) })
	s.backend.put("/app/host", "bad")
	waitFor(t, "the check to fail", func() bool { return d.record("a").Check.LastFailed })
	s.backend.del("/app/host")
	waitFor(t, "the rendering to fail", func() bool { return d.record("a").RenderFailures > 0 })

	got := d.record("a")
	if got.Renders <= got.RenderFailures || got.Check.Count < 3 || got.Check.Failures >= got.Check.Count ||
		got.Reload.Count != got.Reload.Failures+2 || got.Reload.LastFailed || got.Reload.LastTook <= 0 || got.Reload.Total <= got.Reload.LastTook {
		t.Errorf("the counts do not fit together: %+v", got)
	}
	if got.Change.New || !got.Change.At.After(first.Change.At) {
		t.Errorf("the last change is %+v", got.Change)
	}
	latency := d.engine.Latency()
	if latency.Count != 2 || latency.Sum <= 0 || latency.Within[time.Minute] != 2 {
		t.Errorf("two changes were told, but the latency is %+v", latency)
	}
	if len(latency.Within) != len(latencyBounds) {
		t.Errorf("%d classes, want %d", len(latency.Within), len(latencyBounds))
	}
}

func TestRecordsOutliveUpdate(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate,
		"conf.d/a.toml", plainResource+`reload_cmd = "true"`)
	d := s.start(watching)
	d.ready()
	waitFor(t, "the first success", func() bool { return !d.record("a").LastSuccess.IsZero() })
	before := d.record("a")
	s.write("conf.d/a.toml", plainResource+`reload_cmd = "true # again"`)
	d.update()
	waitFor(t, "the new unit to look at the file", func() bool { return d.record("a").Renders > before.Renders })
	if diff := cmp.Diff(before.Change, d.record("a").Change); diff != "" {
		t.Errorf("the last change has gone (-want +got):\n%s", diff)
	}
	if err := os.Remove(filepath.Join(s.dir, "conf.d/a.toml")); err != nil {
		t.Fatal(err)
	}
	s.write("conf.d/b.toml", plainResource)
	d.update()
	if got := d.engine.Records(); len(got) != 1 {
		t.Errorf("records of %d resources, want one: %v", len(got), got)
	}
}

// TestDiffIsPublic: what only some users may read must not become a diff that
// everybody can read.
func TestDiffIsPublic(t *testing.T) {
	for _, c := range []struct {
		name string
		old  os.FileMode // 0 is no file
		mode string
		dir  os.FileMode
		want string
	}{
		{name: "readable before and after", old: 0o644, mode: "0644", dir: 0o755, want: `"old" -> "10.0.0.1\n" public=true`},
		{name: "new", mode: "0644", dir: 0o755, want: `"" -> "10.0.0.1\n" public=true`},
		{name: "was private", old: 0o640, mode: "0644", dir: 0o755, want: `"old" -> "10.0.0.1\n" public=false`},
		{name: "becomes private", old: 0o644, mode: "0640", dir: 0o755, want: `"old" -> "10.0.0.1\n" public=false`},
		{name: "new and private", mode: "0600", dir: 0o755, want: `"" -> "10.0.0.1\n" public=false`},
		{name: "in a private folder", old: 0o644, mode: "0644", dir: 0o750, want: `"old" -> "10.0.0.1\n" public=false`},
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
			s.opts.Diff = shown
			d := s.start(watching)
			d.ready()
			if got := d.record("a").Change.Diff; got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
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

func TestKeysAreToldDuringCommand(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml",
		plainResource+`reload_cmd = "echo x >OUTrunning; while ! test -e OUTgo; do sleep 0.01; done"`)
	d := s.start(watching)
	waitFor(t, "the reload to run", func() bool { return exists(s.out("running")) })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	held, silent := d.engine.Keys(ctx)
	s.write("out/go", "")
	want := []Keys{{Resource: "a", Values: twoKeys}}
	if diff := cmp.Diff(want, held); diff != "" || silent != nil {
		t.Errorf("silent: %v, keys (-want +got):\n%s", silent, diff)
	}
}

// TestKeysOfSilentUnit: a caller does not wait for a unit that is at work.
func TestKeysOfSilentUnit(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml", plainResource)
	hold, asked := make(chan struct{}), make(chan struct{}, 10)
	s.opts.Diff = func([]byte, []byte, bool) string {
		asked <- struct{}{}
		<-hold
		return ""
	}
	d := s.start(watching)
	<-asked
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	held, silent := d.engine.Keys(ctx)
	close(hold)
	if diff := cmp.Diff([]string{"a"}, silent); diff != "" || held != nil {
		t.Errorf("keys: %v, silent (-want +got):\n%s", held, diff)
	}
}

func TestKeysWithoutRun(t *testing.T) {
	e := NewEngine(Options{}, Daemon{}, func(string) (backends.Backend, error) { return nil, errAway })
	if held, silent := e.Keys(t.Context()); held != nil || silent != nil {
		t.Errorf("an engine that does not run has keys %v, silent %v", held, silent)
	}
}

// TestAskingDisturbsNothing asks all the time while keys and configuration
// change; it is for the race detector too.
func TestAskingDisturbsNothing(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml", plainResource+`reload_cmd = "true"`)
	s.opts.Diff = shown
	d := s.start(watching)
	d.ready()
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan int, 2)
	for range cap(asked) {
		go func() {
			n := 0
			for ctx.Err() == nil {
				d.engine.Keys(ctx)
				d.engine.Records()
				d.engine.Latency()
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
			d.update()
		}
		d.waitFile("a.conf", fmt.Sprintf("10.0.0.%d\n", i))
	}
	cancel()
	if n := <-asked + <-asked; n < 10 {
		t.Errorf("asked %d times only", n)
	}
	held, silent := d.engine.Keys(t.Context())
	if len(held) != 1 || silent != nil || held[0].Values["/app/host"] != "10.0.0.19" {
		t.Errorf("in the end the keys are %v, silent %v", held, silent)
	}
}
