package engine

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A resource is removed while its reload runs, and added again: its unit reloads
// once more after that, and never twice at the same time.
func TestReloadOfResourceThatIsRemovedAndAddedAgain(t *testing.T) {
	declaration := plainResource + `reload_cmd = "mkdir OUTrunning || echo x >>OUTtwice; echo x >>OUTbegan; while [ ! -e OUTgo ]; do sleep 0.02; done; cp OUTa.conf OUTtold; rmdir OUTrunning"`
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "templates/b.tmpl", hostTemplate,
		"conf.d/a.toml", declaration, "conf.d/b.toml", other)
	d := s.start()
	d.waitFile("began", "x\n")
	for range 2 {
		if err := os.Remove(s.dir + "/conf.d/a.toml"); err != nil {
			t.Fatal(err)
		}
		d.reload()
		s.write("conf.d/a.toml", declaration)
		s.write("templates/a.tmpl", "new "+hostTemplate)
		d.reload()
	}
	s.backend.put("/app/host", "10.0.0.2")
	d.waitFile("b.conf", "10.0.0.2\n")
	if got := s.read("a.conf"); got != "10.0.0.1\n" {
		t.Errorf("a.conf = %q while the reload runs", got)
	}
	s.write("out/go", "")
	d.waitFile("told", "new 10.0.0.2\n")
	waitFor(t, "the marker to be removed", func() bool { return !exists(s.markerOf("a.conf")) })
	if exists(s.out("twice")) {
		t.Error("two reloads ran at the same time")
	}
}

// A resource moves to another unit and back while a reload runs: each unit waits
// for the other to let go, and neither for ever.
func TestResourcesChangeUnitsBackAndForth(t *testing.T) {
	resourceOf := func(name, cmd string) string {
		return fmt.Sprintf("[template]\nprefix = \"/app\"\nsrc = \"a.tmpl\"\ndest = \"OUT%s.conf\"\nreload_cmd = %q\n", name, cmd)
	}
	const one, two = "while [ ! -e OUTgo ]; do sleep 0.02; done; cat OUTa.conf OUTb.conf >OUTone", "while [ ! -e OUTgo ]; do sleep 0.02; done; cat OUTa.conf OUTb.conf >OUTtwo"
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml", resourceOf("a", one), "conf.d/b.toml", resourceOf("b", two))
	d := s.start()
	waitFor(t, "both files", func() bool { return exists(s.out("a.conf")) && exists(s.out("b.conf")) })
	for range 3 {
		for _, cmds := range [][2]string{{two, one}, {one, two}, {one, one}} {
			s.write("conf.d/a.toml", resourceOf("a", cmds[0]))
			s.write("conf.d/b.toml", resourceOf("b", cmds[1]))
			d.reload()
		}
	}
	s.backend.put("/app/host", "10.0.0.2")
	s.write("out/go", "")
	d.waitFile("one", "10.0.0.2\n10.0.0.2\n")
	waitFor(t, "everything to settle", func() bool { return !d.state("a").ReloadPending && !d.state("b").ReloadPending })
	s.backend.put("/app/host", "10.0.0.3")
	d.waitFile("one", "10.0.0.3\n10.0.0.3\n")
}

// Two changes that two units see cross: one unit has the file of the first
// change in place and waits with its reload for the other unit, which waits for
// a file of the second change from the first unit.
func TestCrossedOrdersDoNotWaitForEachOther(t *testing.T) {
	files := []string{"templates/a.tmpl", "{{range gets \"/*\"}}{{.Value}}\n{{end}}"}
	for _, r := range []struct{ file, key, unit, check string }{
		{"0-b", "z", "b", "if [ -e OUTslow ]; then touch OUTchecking; sleep 0.4; fi"},
		{"1-a", "y", "a", "true"}, {"2-b", "y", "b", "true"}, {"3-a", "x", "a", "true"}, {"4-b", "x", "b", "true"},
	} {
		files = append(files, "conf.d/"+r.file+".toml", fmt.Sprintf(
			"[template]\nprefix = \"/%s\"\nsrc = \"a.tmpl\"\ndest = \"OUT%s\"\ncheck_cmd = %q\nreload_cmd = \"cat OUT[1-4]* >OUTtold-%s\"\n", r.key, r.file, r.check, r.unit))
	}
	s := newSite(t, map[string]string{"/x/v": "0", "/y/v": "0", "/z/v": "0"}, files...)
	d := s.start()
	d.waitFile("told-a", "0\n0\n0\n0\n")
	d.waitFile("told-b", "0\n0\n0\n0\n")
	d.ready()
	s.write("out/slow", "")
	s.backend.put("/z/v", "1")
	waitFor(t, "the slow check", func() bool { return exists(s.out("checking")) })
	began := time.Now()
	s.backend.put("/x/v", "1")
	d.waitFile("3-a", "1\n") // in place, and the reload waits for the other file
	s.backend.put("/y/v", "1")
	d.waitFile("told-a", "1\n1\n1\n1\n")
	d.waitFile("told-b", "1\n1\n1\n1\n")
	if took := time.Since(began); took > 900*time.Millisecond || strings.Contains(s.log.String(), "resource is slow") {
		t.Errorf("two changes waited for each other: %v", took)
	}
}

// What was refused, then could not be rendered for a while, is tried at once
// when it comes back, and its own error is shown.
func TestFailedCheckAfterTemplateErrorIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, map[string]string{"/app/host": "bad", "/app/n": "1"},
			"templates/a.tmpl", "{{if eq (getv \"/n\") \"0\"}}{{div 1 0}}{{end}}{{if eq (getv \"/n\") \"2\"}}{{index (split \"a\" \",\") 5}}{{end}}{{if eq (getv \"/n\") \"3\"}}{{(dict \"a\" 1).b}}{{end}}{{getv \"/host\"}}\n",
			"conf.d/a.toml", plainResource+`check_cmd = "echo x >>OUTchecks; ! grep -q bad {{.src}}"`)
		d := s.start()
		waitFor(t, "four checks", func() bool { return len(s.events.of(Checked, "a")) >= 4 })
		for _, n := range []string{"0", "2", "3"} {
			s.backend.put("/app/n", n)
			waitFor(t, "the template to fail", func() bool { return !strings.HasPrefix(d.state("a").Err.Error(), "check failed") })
			checks := len(s.events.of(Checked, "a"))
			state := d.state("a").State
			s.backend.put("/app/n", "1")
			began := time.Now()
			waitFor(t, "the check to fail again", func() bool { return strings.HasPrefix(d.state("a").Err.Error(), "check failed") })
			if took := time.Since(began); took > 500*time.Millisecond || len(s.events.of(Checked, "a")) == checks {
				t.Errorf("after %v with n = %s the same bytes were tried after %v", state, n, took)
			}
		}
	})
}
