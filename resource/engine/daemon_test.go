package engine

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestDaemonFollows(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml", plainResource+`reload_cmd = "cat OUTa.conf >>OUTreloads"`)
	d := s.start()
	d.ready()
	d.waitFile("reloads", "10.0.0.1\n")
	s.backend.put("/app/host", "10.0.0.2")
	d.waitFile("reloads", "10.0.0.1\n10.0.0.2\n")
	// A sibling, and a key that the template does not print, change nothing.
	s.backend.put("/app2/host", "6.6.6.6", "/app/other", "x")
	s.backend.put("/app/host", "10.0.0.3")
	d.waitFile("reloads", "10.0.0.1\n10.0.0.2\n10.0.0.3\n")
	s.backend.del("/app/host")
	waitFor(t, "the resource to be held", func() bool { return d.state("a").State == Held })
	d.waitFile("a.conf", "10.0.0.3\n")
	s.backend.put("/app/host", "10.0.0.3")
	waitFor(t, "the resource to recover", func() bool { return d.state("a").State == InSync })
	d.waitFile("reloads", "10.0.0.1\n10.0.0.2\n10.0.0.3\n")
	if got := s.backend.readsSoFar(t); got != 1 {
		t.Errorf("the backend was read %d times, want once", got)
	}
}

func TestDaemonRepeatsReloadUntilItSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml",
			plainResource+`reload_cmd = "echo x >>OUTtries; test $(wc -l <OUTtries) -ge 3 && cp OUTa.conf OUTproxy"`)
		d := s.start()
		d.waitFile("proxy", "10.0.0.1\n")
		d.waitFile("tries", "x\nx\nx\n")
		waitFor(t, "the mark to be removed", func() bool { return !exists(s.markerOf("a.conf")) })
	})
}

func TestDaemonReloadsAtStartWhatIsPending(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml", plainResource+`reload_cmd = "echo x >>OUTreloads"`)
	s.write("out/a.conf", "10.0.0.1\n")
	s.write("out/.a.conf.pc4patroni-reload", "")
	s.backend.setAway(errAway)
	d := s.start()
	// Although the backend cannot be read.
	d.waitFile("reloads", "x\n")
	s.backend.setAway(nil)
	d.ready()
	d.waitFile("reloads", "x\n")
	if exists(s.markerOf("a.conf")) {
		t.Error("the mark is still there")
	}
}

func TestDaemonDistrustsHalfWrittenFile(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml", plainResource+`reload_cmd = "cat OUTa.conf >>OUTreloads"`)
	s.write("out/a.conf", "10.0")
	s.write("out/.a.conf.pc4patroni-reload", "")
	s.write("out/.a.conf.pc4patroni-partial", "")
	s.backend.setAway(errAway)
	d := s.start()
	waitFor(t, "a read to fail", func() bool { return strings.Contains(s.log.String(), "backend cannot be read") })
	if exists(s.out("reloads")) {
		t.Error("the proxy was told of a file that may be half written")
	}
	s.backend.setAway(nil)
	d.waitFile("reloads", "10.0.0.1\n")
}

func TestDaemonBackendAwayAndBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml", plainResource)
		s.backend.setAway(errAway)
		d := s.start()
		waitFor(t, "a read to fail", func() bool { return strings.Contains(s.log.String(), "backend cannot be read") })
		select {
		case <-d.engine.Ready():
			t.Error("ready although nothing could be read")
		default:
		}
		s.backend.setAway(nil)
		d.waitFile("a.conf", "10.0.0.1\n")
		d.ready()
		s.backend.setAway(errAway)
		waitFor(t, "the loss to be noticed", func() bool { return !d.engine.Status().Backends[""].Connected })
		s.backend.put("/app/host", "10.0.0.9")
		s.backend.setAway(nil)
		d.waitFile("a.conf", "10.0.0.9\n")
		if got := strings.Count(s.log.String(), "backend cannot be read"); got != 2 {
			t.Errorf("the absence was logged %d times, want once for each of two", got)
		}
	})
}

func TestDaemonHangingReloadBlocksItsUnitOnly(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate,
		"conf.d/a.toml", plainResource+`reload_cmd = "echo x >>OUThanging; while [ ! -e OUTgo ]; do sleep 0.02; done; cp OUTa.conf OUTtold-a"`,
		"conf.d/b.toml", strings.ReplaceAll(plainResource, "OUTa.conf", "OUTb.conf")+`reload_cmd = "cp OUTb.conf OUTtold-b"`)
	d := s.start()
	d.waitFile("hanging", "x\n")
	for i := range 200 {
		s.backend.put("/app/host", fmt.Sprintf("10.0.1.%d", i))
	}
	d.waitFile("told-b", "10.0.1.199\n")
	d.waitFile("hanging", "x\n")
	s.write("out/go", "")
	d.waitFile("told-a", "10.0.1.199\n")
	// One for the first state, one for all that came meanwhile.
	d.waitFile("hanging", "x\nx\n")
}

func TestDaemonDefersReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate,
			"conf.d/a.toml", plainResource+"min_reload_interval = \"1500ms\"\nreload_cmd = \"cat OUTa.conf >>OUTreloads\"")
		d := s.start()
		d.ready()
		d.waitFile("reloads", "10.0.0.1\n")
		began := time.Now()
		s.backend.put("/app/host", "10.0.0.2")
		d.waitFile("a.conf", "10.0.0.2\n")
		s.backend.put("/app/host", "10.0.0.3")
		d.waitFile("reloads", "10.0.0.1\n10.0.0.3\n")
		if took := time.Since(began); took < time.Second {
			t.Errorf("the second reload came after %v, want it deferred", took)
		}
	})
}

func TestDaemonPutsRightWhatOthersOverwrote(t *testing.T) {
	s := newSite(t, map[string]string{"/app/host": "a", "/app/status": "1"}, "templates/a.tmpl", hostTemplate,
		"conf.d/a.toml", plainResource+`reload_cmd = "echo x >>OUTreloads"`)
	d := s.start()
	d.ready()
	d.waitFile("reloads", "x\n")
	s.write("out/a.conf", "by hand\n")
	s.backend.put("/app/status", "2") // a heartbeat notices
	d.waitFile("a.conf", "a\n")
	d.waitFile("reloads", "x\nx\n")
}

func TestDaemonComparesAtInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml", plainResource+`reload_cmd = "echo x >>OUTreloads"`)
		d := s.startWith(300*time.Millisecond, true)
		d.ready()
		d.waitFile("reloads", "x\n")
		s.write("out/a.conf", "by hand\n")
		d.waitFile("a.conf", "10.0.0.1\n")
		d.waitFile("reloads", "x\nx\n")
		waitFor(t, "a full read at the interval", func() bool { return len(d.events.of(Resynced, "")) > 1 })
		d.waitFile("reloads", "x\nx\n")
	})
}

func TestDaemonPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml", plainResource)
		d := s.startWith(100*time.Millisecond, false)
		d.waitFile("a.conf", "10.0.0.1\n")
		s.backend.put("/app/host", "10.0.0.2")
		d.waitFile("a.conf", "10.0.0.2\n")
	})
}

func TestDaemonCheckFailsThenGoodChange(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate,
		"conf.d/a.toml", plainResource+`check_cmd = "echo x >>OUTchecks; ! grep -q bad {{.src}}"`)
	d := s.start()
	d.ready()
	s.backend.put("/app/host", "bad")
	waitFor(t, "the check to fail", func() bool { return d.state("a").State == Failed })
	d.waitFile("a.conf", "10.0.0.1\n")
	s.backend.put("/app/host", "good")
	d.waitFile("a.conf", "good\n")
	waitFor(t, "the resource to recover", func() bool { return d.state("a").State == Changed })
	s.wantFiles("a.conf", "checks")
}

func TestDaemonStopLetsReloadFinish(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate,
		"conf.d/a.toml", plainResource+`reload_cmd = "touch OUTbegan; while [ ! -e OUTgo ]; do sleep 0.02; done; touch OUTended"`)
	d := s.start()
	waitFor(t, "the reload to begin", func() bool { return exists(s.out("began")) })
	d.stop(errors.New("asked to stop"))
	s.write("out/go", "")
	if err := <-d.done; err != nil {
		t.Error(err)
	}
	d.done <- nil // for the cleanup
	s.wantFiles("a.conf", "began", "ended", "go")
}

func TestDaemonUpdate(t *testing.T) {
	b := strings.ReplaceAll(plainResource, "OUTa.conf", "OUTb.conf")
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate,
		"conf.d/a.toml", plainResource+`reload_cmd = "echo a >>OUTreloads"`)
	d := s.start()
	d.ready()
	d.waitFile("reloads", "a\n")

	s.write("conf.d/b.toml", b+`reload_cmd = "echo b >>OUTreloads"`)
	d.reload()
	d.waitFile("reloads", "a\nb\n")

	// A broken resource goes on as it was.
	s.write("conf.d/b.toml", b+"nonsense = 1\n")
	d.reload()
	s.backend.put("/app/host", "10.0.0.2")
	d.waitFile("a.conf", "10.0.0.2\n")
	d.waitFile("b.conf", "10.0.0.2\n")

	// A removed one is let go.
	if err := os.Remove(s.dir + "/conf.d/b.toml"); err != nil {
		t.Fatal(err)
	}
	d.reload()
	s.backend.put("/app/host", "10.0.0.3")
	d.waitFile("a.conf", "10.0.0.3\n")
	if got := s.read("b.conf"); got != "10.0.0.2\n" {
		t.Errorf("the file of a removed resource = %q, want it left alone", got)
	}

	// A changed template counts, though the resource file is the same.
	s.write("templates/a.tmpl", "host "+hostTemplate)
	d.reload()
	d.waitFile("a.conf", "host 10.0.0.3\n")
	waitFor(t, "the results to settle", func() bool { return d.state("a").State == Changed })
}

func TestDaemonNoticesStuckLoop(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml", plainResource)
	d := s.start()
	d.ready()
	asked := time.Now()
	d.engine.Stalled(asked)
	waitFor(t, "every loop to take a turn", func() bool { return len(d.engine.Stalled(asked)) == 0 })
	if got := d.engine.Stalled(time.Now().Add(time.Hour)); len(got) == 0 {
		t.Error("a loop that has not turned since then is not reported")
	}
}

// A path that may not be read holds its own resource only, and is asked for
// again at each full read.
func TestDaemonDeniedPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, map[string]string{"/app/host": "10.0.0.1", "/secret/host": "10.0.0.2"}, "templates/a.tmpl", hostTemplate,
			"conf.d/a.toml", plainResource,
			"conf.d/b.toml", strings.ReplaceAll(strings.ReplaceAll(plainResource, "/app", "/secret"), "OUTa", "OUTb"))
		s.backend.deny("/secret/")
		d := s.startWith(300*time.Millisecond, true)
		d.ready()
		if got := d.state("b"); got.State != Failed {
			t.Errorf("the denied resource is %v (%v), want failed", got.State, got.Err)
		}
		s.backend.put("/app/host", "10.0.0.3")
		d.waitFile("a.conf", "10.0.0.3\n")
		s.backend.deny()
		d.waitFile("b.conf", "10.0.0.2\n")
		// The next full check may come first, and finds it in sync.
		waitFor(t, "the results to settle", func() bool { return d.state("b").State == Changed || d.state("b").State == InSync })
		if got := strings.Count(s.log.String(), "level=ERROR"); got != 1 {
			t.Errorf("the denial was logged %d times, want once", got)
		}
	})
}

// A reload that a removed resource owed is done by the one that shares its
// command.
func TestDaemonHandsPendingReloadOn(t *testing.T) {
	reload := `reload_cmd = "test -e OUTproxy && echo x >>OUTreloads"`
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml", plainResource+reload,
		"conf.d/b.toml", strings.ReplaceAll(plainResource, "OUTa", "OUTb")+reload)
	s.write("out/b.conf", "10.0.0.1\n") // in sync, so that only a owes
	d := s.start()
	waitFor(t, "the reload to be owed", func() bool { return d.state("a").ReloadPending })
	if err := os.Remove(s.dir + "/conf.d/a.toml"); err != nil {
		t.Fatal(err)
	}
	d.reload()
	s.write("out/proxy", "")
	waitFor(t, "the reload", func() bool { return exists(s.out("reloads")) })
	waitFor(t, "the marks to be removed", func() bool { return !exists(s.markerOf("a.conf")) && !exists(s.markerOf("b.conf")) })
}

// A file that may be half written keeps its unit from reloading until it is
// put right.
func TestDaemonWaitsForHalfWrittenFile(t *testing.T) {
	reload := `reload_cmd = "echo x >>OUTreloads"`
	s := newSite(t, twoKeys, "templates/a.tmpl", "{{getv \"/nokey\"}}", "templates/b.tmpl", hostTemplate,
		"conf.d/a.toml", plainResource+reload,
		"conf.d/b.toml", strings.ReplaceAll(strings.ReplaceAll(plainResource, "OUTa", "OUTb"), "a.tmpl", "b.tmpl")+reload)
	s.write("out/.a.conf.pc4patroni-reload", "")
	s.write("out/.a.conf.pc4patroni-partial", "")
	d := s.start()
	d.waitFile("b.conf", "10.0.0.1\n")
	d.ready()
	d.waitState("a", Held)
	if exists(s.out("reloads")) {
		t.Error("the proxy was told although a file may be half written")
	}
	s.backend.put("/app/nokey", "now")
	d.waitFile("a.conf", "now")
	waitFor(t, "the reload", func() bool { return exists(s.out("reloads")) })
}
