package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pc4patroni/backends"
	"pc4patroni/resource/internal/diskstep"
)

// A backend may read the paths of a resource one after the other.
func TestChangeBetweenTheFirstReadsOfTwoPaths(t *testing.T) {
	s := newSite(t, nil, "templates/a.tmpl", `{{getv "/a/x"}} {{getv "/b/x"}}`,
		"conf.d/a.toml", "[template]\nprefix = \"/\"\nkeys = [\"/a\", \"/b\"]\nsrc = \"a.tmpl\"\ndest = \"OUTa.conf\"\n")
	k := newKeys(s.set().Resources[0])
	full := map[string]map[string]string{"/a/": {"/a/x": "old"}, "/b/": {"/b/x": "1"}}
	for i, path := range k.resource.Paths {
		values := full[path]
		if values == nil {
			values = map[string]string{}
		}
		k.apply(&backends.Update{Path: path, Keys: values})
		if path == "/a/" {
			if i == len(k.resource.Paths)-1 {
				t.Fatal("the test needs /a/ to come before the last path")
			}
			k.apply(&backends.Update{Path: "/a/", Changes: []backends.Change{{Key: "/a/x", Value: "new"}}})
		}
	}
	if known, err := k.take(); !known || err != nil {
		t.Fatal(known, err)
	}
	if got, _ := k.store.Get("/a/x"); got != "new" {
		t.Errorf("/a/x is %q, want what it was changed to: new", got)
	}
}

func TestHeldAfterFailedCheckDoesNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate,
			"conf.d/a.toml", plainResource+`check_cmd = "echo x >>OUTchecks; false"`)
		d := s.start()
		// Until the backoff is longer than a resource may be held in silence.
		waitFor(t, "four checks", func() bool { return len(s.events.of(Checked, "a")) >= 4 })
		s.backend.del("/app/host")
		d.waitState("a", Held)
		s.backend.put("/app/host", "10.0.0.1")
		time.Sleep(3 * time.Second)
		if n := len(s.events.of(Rendered, "a")); n > 30 {
			t.Errorf("the template was rendered %d times within seconds", n)
		}
		if res := d.state("a"); res.State != Failed {
			t.Errorf("the resource is %v (%v), want failed: its check fails", res.State, res.Err)
		}
	})
}

func TestFailedCheckAfterDeniedIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate,
			"conf.d/a.toml", plainResource+`check_cmd = "test -e OUTallow"`)
		s.opts.Interval = time.Second
		d := s.start()
		d.waitState("a", Failed)
		s.backend.deny("/app/")
		waitFor(t, "the path to be denied", func() bool { return errors.Is(d.state("a").Err, backends.ErrDenied) })
		s.opts.Interval = time.Hour // no comparison with the disk comes to help
		d.reload()
		s.write("out/allow", "")
		s.backend.deny()
		// The watch starts again, as after a lost connection.
		s.backend.setAway(errAway)
		time.Sleep(50 * time.Millisecond)
		s.backend.setAway(nil)
		d.waitFile("a.conf", "10.0.0.1\n")
	})
}

// The reload command of a resource whose reload fails is mended.
func TestPendingReloadMovesWithItsResource(t *testing.T) {
	resourceOf := func(name, cmd string) string {
		return fmt.Sprintf("[template]\nprefix = \"/app\"\nsrc = \"a.tmpl\"\ndest = \"OUT%s.conf\"\nreload_cmd = %q\n", name, cmd)
	}
	const failing = "test -e OUTnever"
	const slow = "cat OUTa.conf >>OUTreloads; test -e OUTgo || sleep 2"
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate,
		"conf.d/a.toml", resourceOf("a", failing), "conf.d/b.toml", resourceOf("b", failing), "conf.d/c.toml", resourceOf("c", slow))
	d := s.start()
	d.waitState("a", Failed)
	d.waitState("b", Failed)
	d.waitFile("reloads", "10.0.0.1\n")
	s.write("out/c.conf", "edited\n")
	d.reload() // c is put right, and its reload runs for a while
	d.waitFile("reloads", "10.0.0.1\n10.0.0.1\n")
	s.write("conf.d/a.toml", resourceOf("a", slow))
	d.reload()
	d.waitFile("reloads", "10.0.0.1\n10.0.0.1\n10.0.0.1\n") // that of a by its new command
}

func TestOrderWaitsOnceForAUnit(t *testing.T) {
	files := []string{"templates/a.tmpl", hostTemplate}
	for i := range 5 {
		files = append(files, fmt.Sprintf("conf.d/a%d.toml", i),
			fmt.Sprintf("[template]\nprefix = \"/app\"\nsrc = \"a.tmpl\"\ndest = \"OUTa%d.conf\"\ncheck_cmd = \"while [ -e OUTslow ]; do sleep 0.02; done\"\nreload_cmd = \"true\"\n", i))
	}
	files = append(files, "conf.d/z.toml", "[template]\nprefix = \"/app\"\nsrc = \"a.tmpl\"\ndest = \"OUTz.conf\"\nreload_cmd = \"cp OUTz.conf OUTproxy\"\n")
	s := newSite(t, twoKeys, files...)
	d := s.start()
	d.waitFile("proxy", "10.0.0.1\n")
	waitFor(t, "all of them", func() bool { return exists(s.out("a4.conf")) })
	s.write("out/slow", "")
	began := time.Now()
	s.backend.put("/app/host", "10.0.0.2")
	d.waitFile("proxy", "10.0.0.2\n")
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("one slow unit held the other one back for %v, want about a second", took.Round(100*time.Millisecond))
	}
	// All of its own files follow.
	if err := os.Remove(s.out("slow")); err != nil {
		t.Fatal(err)
	}
	d.waitFile("a4.conf", "10.0.0.2\n")
}

// A file whose resource is gone may still be read by the proxy, which does not know it yet. A
// disk that fails meanwhile makes no difference.
func TestPendingReloadOfRemovedResource(t *testing.T) {
	for _, failing := range []string{"no step", "create", "remove"} {
		t.Run(failing+" fails", func(t *testing.T) { pendingReloadOfRemovedResource(t, failing) })
	}
}

func pendingReloadOfRemovedResource(t *testing.T, failing string) {
	const command = `reload_cmd = "test -e OUTgo && echo >>OUTreloads"`
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "templates/b.tmpl", "{{getv \"/port\"}}\n", "conf.d/a.toml", plainResource+command,
		"conf.d/b.toml", strings.NewReplacer("OUTa.conf", "OUTb.conf", "a.tmpl", "b.tmpl").Replace(plainResource)+command)
	var fails, failed atomic.Bool
	diskstep.Hook = func(what, _ string) error {
		if fails.Load() && what == failing {
			failed.Store(true)
			return syscall.EIO
		}
		return nil
	}
	t.Cleanup(func() { diskstep.Hook = nil })
	s.write("out/go", "")
	d := s.start()
	d.ready()
	d.waitFile("reloads", "\n")
	if err := os.Remove(s.out("go")); err != nil {
		t.Fatal(err)
	}
	s.backend.put("/app/port", "6432")
	d.waitState("b", Failed)
	if err := os.Remove(filepath.Join(s.dir, "conf.d", "b.toml")); err != nil {
		t.Fatal(err)
	}
	fails.Store(true)
	d.reload()
	waitFor(t, "the disk to fail", func() bool { return failed.Load() || failing == "no step" })
	fails.Store(false)
	s.write("out/go", "")
	d.waitFile("reloads", "\n\n")
}

// A proxy that reloads while a directory is away has not read the file in it.
func TestPendingReloadWhileDirectoryAway(t *testing.T) {
	const command = `reload_cmd = "test -e OUTgo && { cat OUTa.conf OUTside/b.conf >OUTproxy 2>/dev/null; true; }"` + "\n"
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml", plainResource+command,
		"conf.d/b.toml", strings.Replace(plainResource, "OUTa.conf", "OUTside/b.conf", 1)+command)
	if err := os.Mkdir(s.out("side"), 0o755); err != nil {
		t.Fatal(err)
	}
	d := s.start()
	d.waitState("b", Failed) // its reload
	if err := os.Rename(s.out("side"), s.out("away")); err != nil {
		t.Fatal(err)
	}
	s.write("out/go", "")
	d.waitFile("proxy", "10.0.0.1\n")
	if err := os.Rename(s.out("away"), s.out("side")); err != nil {
		t.Fatal(err)
	}
	d.waitFile("proxy", "10.0.0.1\n10.0.0.1\n")
	d.waitState("b", Changed)
}

// The warning that a resource is held must not come due for ever while its new keys are unknown.
func TestHeldResourceWithNewPrefixDoesNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml", plainResource)
		d := s.start()
		d.ready()
		s.backend.del("/app/host", "/app/port")
		d.waitState("a", Held)
		s.backend.setAway(errAway)
		time.Sleep(100 * time.Millisecond)
		s.write("conf.d/a.toml", strings.Replace(plainResource, "/app", "/other", 1))
		d.reload()
		time.Sleep(10 * time.Second) // never ends in a bubble where something spins
		s.backend.setAway(nil)
		s.backend.put("/other/host", "10.0.0.2")
		d.waitFile("a.conf", "10.0.0.2\n")
	})
}
