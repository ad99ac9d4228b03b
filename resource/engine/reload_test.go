package engine

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const (
	// obedient is a reload that ends when the file OUTgo appears.
	obedient = `reload_cmd = "echo x >>OUTbegan; while [ ! -e OUTgo ]; do sleep 0.02; done; cp OUTa.conf OUTtold-a"`
	other    = "[template]\nprefix = \"/app\"\nsrc = \"b.tmpl\"\ndest = \"OUTb.conf\"\n"
)

// TestReloadBeforeReady is about a SIGHUP while the backend is still away: the
// program must not stay unready for ever.
func TestReloadBeforeReady(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml", plainResource)
	s.backend.setAway(errAway)
	d := s.start()
	waitFor(t, "a read to fail", func() bool { return strings.Contains(s.log.String(), "backend cannot be read") })
	s.write("templates/a.tmpl", "new "+hostTemplate)
	d.reload()
	select {
	case <-d.engine.Ready():
		t.Error("ready although nothing could be read")
	default:
	}
	s.backend.setAway(nil)
	d.ready()
	d.waitFile("a.conf", "new 10.0.0.1\n")
}

// TestReloadWhileReloadHangs changes a resource whose reload runs: it is waited
// for, and the other resource is served meanwhile and not taken for stuck.
func TestReloadWhileReloadHangs(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "templates/b.tmpl", hostTemplate,
		"conf.d/a.toml", plainResource+obedient, "conf.d/b.toml", other)
	d := s.start()
	d.waitFile("began", "x\n")
	d.waitFile("b.conf", "10.0.0.1\n")
	s.write("templates/a.tmpl", "new "+hostTemplate)
	updated := make(chan struct{})
	go func() {
		defer close(updated)
		d.reload()
	}()
	s.backend.put("/app/host", "10.0.0.2")
	d.waitFile("b.conf", "10.0.0.2\n")
	for range 3 {
		asked := time.Now()
		waitFor(t, "no loop to be stuck", func() bool { return len(d.engine.Stalled(asked)) == 0 })
	}
	s.write("out/go", "")
	<-updated
	d.waitFile("told-a", "new 10.0.0.2\n")
	d.waitFile("began", "x\nx\n")
}

// TestReloadWithoutChange disturbs nothing: no read, no reload.
func TestReloadWithoutChange(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml", plainResource+`reload_cmd = "echo x >>OUTreloads"`)
	d := s.start()
	d.ready()
	d.reload()
	s.backend.put("/app/host", "10.0.0.2")
	d.waitFile("reloads", "x\nx\n")
	if got := s.backend.readsSoFar(t); got != 1 {
		t.Errorf("the backend was read %d times, want once", got)
	}
}

func TestReloadOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml", plainResource+`reload_cmd = "echo x >>OUTreloads"`)
		d := s.start()
		d.ready()
		d.waitFile("reloads", "x\n")

		d.opts.SyncOnly = true
		d.reload()
		s.backend.put("/app/host", "10.0.0.2")
		d.waitFile("a.conf", "10.0.0.2\n")

		// The interval was an hour.
		d.opts.Interval = 100 * time.Millisecond
		d.reload()
		s.write("out/a.conf", "by hand\n")
		d.waitFile("a.conf", "10.0.0.2\n")
		waitFor(t, "full reads at the interval", func() bool { return len(d.events.of(Resynced, "")) > 1 })
		d.waitFile("reloads", "x\n")
	})
}

// TestReloadLogsBrokenResources tells one that goes on from one that is new.
func TestReloadLogsBrokenResources(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml", plainResource)
	d := s.start()
	d.ready()
	s.write("conf.d/a.toml", plainResource+"nonsense = 1\n")
	s.write("conf.d/b.toml", "[template]\n")
	d.reload()
	for _, want := range []string{
		`msg="resource cannot be used as it is now, its last good version stays in use" resource=a err=`,
		`msg="resource cannot be used" resource=b err=`,
	} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("the log lacks %s", want)
		}
	}
}

// A reload that hangs keeps nobody but its own unit from the new configuration.
func TestReloadStopsNobodyElse(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "templates/b.tmpl", hostTemplate,
		"conf.d/a.toml", plainResource+obedient, "conf.d/b.toml", other)
	d := s.start()
	d.waitFile("began", "x\n")
	d.waitFile("b.conf", "10.0.0.1\n")
	// Both change, and the interval too.
	s.write("templates/a.tmpl", "new "+hostTemplate)
	s.write("templates/b.tmpl", "new "+hostTemplate)
	d.opts.Interval = 2 * time.Hour
	began := time.Now()
	d.reload()
	d.waitFile("b.conf", "new 10.0.0.1\n")
	s.backend.put("/app/host", "10.0.0.2")
	d.waitFile("b.conf", "new 10.0.0.2\n")
	if took := time.Since(began); took > time.Second {
		t.Errorf("the other unit waited for %v", took)
	}
	if got := s.read("a.conf"); got != "10.0.0.1\n" {
		t.Errorf("a.conf = %q while its reload runs", got)
	}
	for range 3 {
		asked := time.Now()
		waitFor(t, "nobody to be stalled", func() bool { return len(d.engine.Stalled(asked)) == 0 })
	}
	s.write("out/go", "")
	d.waitFile("told-a", "new 10.0.0.2\n")
	d.waitFile("began", "x\nx\n")
}

// The minimum interval between two reloads holds across a new configuration.
func TestReloadKeepsMinReloadInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		declaration := plainResource + "min_reload_interval = \"1500ms\"\nreload_cmd = \"cat OUTa.conf >>OUTreloads\"\n"
		s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml", declaration)
		d := s.start()
		d.waitFile("reloads", "10.0.0.1\n")
		began := time.Now()
		s.write("templates/a.tmpl", "new "+hostTemplate)
		d.reload()
		d.waitFile("a.conf", "new 10.0.0.1\n")
		d.waitFile("reloads", "10.0.0.1\nnew 10.0.0.1\n")
		if took := time.Since(began); took < time.Second {
			t.Errorf("the reload came after %v, want it deferred", took)
		}
	})
}

// The backoff of a failing reload goes on: it is not tried at once because some
// other part of the unit has changed.
func TestReloadKeepsBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate,
			"conf.d/a.toml", plainResource+"reload_cmd = \"echo x >>OUTtries; false\"\n")
		d := s.start()
		waitFor(t, "some tries", func() bool { return exists(s.out("tries")) && len(s.read("tries")) >= 6 })
		before := d.state("a").NextAttempt
		s.write("conf.d/a.toml", plainResource+"reload_cmd = \"echo x >>OUTtries; false\"\nreload_cmd_timeout = \"50s\"\n")
		tries := len(s.read("tries"))
		d.reload()
		d.ready()
		if wait := time.Until(before); wait > 300*time.Millisecond && len(s.read("tries")) > tries {
			t.Errorf("the reload was tried again, %v before it was due", wait)
		}
		if got := d.state("a"); !got.ReloadPending {
			t.Errorf("after the new configuration the reload is not pending: %+v", got)
		}
	})
}

// The new template is applied with the keys that are known, also while the
// backend cannot be read, and nothing is read again.
func TestReloadTakesOverKeys(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml", plainResource)
	d := s.start()
	d.ready()
	s.backend.setAway(errAway)
	waitFor(t, "the loss to be noticed", func() bool { return !d.connected() })
	s.write("templates/a.tmpl", "new "+hostTemplate)
	d.reload()
	d.waitFile("a.conf", "new 10.0.0.1\n")
	s.backend.setAway(nil)
	s.backend.put("/app/host", "10.0.0.2")
	d.waitFile("a.conf", "new 10.0.0.2\n")
	if got := s.backend.readsSoFar(t); got != 1 {
		t.Errorf("the backend was read %d times, want once", got)
	}
}

// A new configuration also compares every file with the disk.
func TestReloadPutsHandEditRight(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml", plainResource)
	d := s.start()
	d.ready()
	s.write("out/a.conf", "by hand\n")
	d.reload()
	d.waitFile("a.conf", "10.0.0.1\n")
	d.waitLog(`change="changed by hand at `)
}

// After a repair the log says so, whatever was wrong.
func TestReloadLogsRecovery(t *testing.T) {
	for _, tt := range []struct{ name, file, bad, good string }{
		{"resource file", "conf.d/a.toml", plainResource + "nonsense = 1\n", plainResource},
		{"syntax", "templates/a.tmpl", "{{getvv}}", "new " + hostTemplate},
		{"field", "templates/a.tmpl", "{{getv \"/host\" | len}}{{(index (gets \"/*\") 0).Hostt}}", "new " + hostTemplate},
		{"unchanged", "templates/a.tmpl", "{{getvv}}", hostTemplate},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml", plainResource)
			d := s.start()
			d.ready()
			s.write(tt.file, tt.bad)
			d.reload()
			d.waitLog("level=ERROR")
			s.write(tt.file, tt.good)
			d.reload()
			d.waitLog(`msg="resource recovered" resource=a`)
		})
	}
}
