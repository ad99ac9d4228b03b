package resource

import (
	"strings"
	"testing"
	"time"
)

const (
	// obedient is a reload that ends when the file OUTgo appears.
	obedient = `reload_cmd = "echo x >>OUTbegan; while [ ! -e OUTgo ]; do sleep 0.02; done; cp OUTa.conf OUTtold-a"`
	other    = "[template]\nprefix = \"/app\"\nsrc = \"b.tmpl\"\ndest = \"OUTb.conf\"\n"
)

// TestUpdateBeforeReady is about a SIGHUP while the backend is still away: the
// program must not stay unready for ever.
func TestUpdateBeforeReady(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml", plainResource)
	s.backend.setAway(errAway)
	d := s.start(watching)
	waitFor(t, "a read to fail", func() bool { return strings.Contains(s.log.String(), "backend cannot be read") })
	s.write("templates/a.tmpl", "new "+hostTemplate)
	d.update()
	select {
	case <-d.engine.Ready():
		t.Error("ready although nothing could be read")
	default:
	}
	s.backend.setAway(nil)
	d.ready()
	d.waitFile("a.conf", "new 10.0.0.1\n")
}

// TestUpdateWhileReloadHangs changes a resource whose reload runs: it is waited
// for, and the other resource is served meanwhile and not taken for stuck.
func TestUpdateWhileReloadHangs(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "templates/b.tmpl", hostTemplate,
		"conf.d/a.toml", plainResource+obedient, "conf.d/b.toml", other)
	d := s.start(watching)
	d.waitFile("began", "x\n")
	d.waitFile("b.conf", "10.0.0.1\n")
	s.write("templates/a.tmpl", "new "+hostTemplate)
	updated := make(chan struct{})
	go func() {
		defer close(updated)
		d.update()
	}()
	s.backend.put("/app/host", "10.0.0.2")
	d.waitFile("b.conf", "10.0.0.2\n")
	for range 3 {
		asked := time.Now()
		waitFor(t, "no loop to be stuck", func() bool { return len(d.engine.Stuck(asked)) == 0 })
	}
	s.write("out/go", "")
	<-updated
	d.waitFile("told-a", "new 10.0.0.2\n")
	d.waitFile("began", "x\nx\n")
}

// TestUpdateWithoutChange disturbs nothing: no read, no reload.
func TestUpdateWithoutChange(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml", plainResource+`reload_cmd = "echo x >>OUTreloads"`)
	d := s.start(watching)
	d.ready()
	d.update()
	s.backend.put("/app/host", "10.0.0.2")
	d.waitFile("reloads", "x\nx\n")
	if s.backend.loads != 1 {
		t.Errorf("the backend was read %d times, want once", s.backend.loads)
	}
}

func TestUpdateOptions(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml", plainResource+`reload_cmd = "echo x >>OUTreloads"`)
	d := s.start(watching)
	d.ready()
	d.waitFile("reloads", "x\n")

	d.opts.SyncOnly = true
	d.update()
	s.backend.put("/app/host", "10.0.0.2")
	d.waitFile("a.conf", "10.0.0.2\n")

	// The interval was an hour.
	d.daemon.Interval = 100 * time.Millisecond
	d.update()
	s.write("out/a.conf", "by hand\n")
	d.waitFile("a.conf", "10.0.0.2\n")
	waitFor(t, "full reads at the interval", func() bool { return d.engine.Status().Backends[""].Resyncs[reasonInterval] > 1 })
	d.waitFile("reloads", "x\n")
}

// TestUpdateLogsBrokenResources tells one that goes on from one that is new.
func TestUpdateLogsBrokenResources(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml", plainResource)
	d := s.start(watching)
	d.ready()
	s.write("conf.d/a.toml", plainResource+"nonsense = 1\n")
	s.write("conf.d/b.toml", "[template]\n")
	d.update()
	for _, want := range []string{
		`msg="resource cannot be used as it is now, it goes on as it was" resource=a err=`,
		`msg="resource cannot be used" resource=b err=`,
	} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("the log lacks %s", want)
		}
	}
}
