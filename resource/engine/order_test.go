package engine

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"pc4patroni/resource"
)

// ordered is a main file that includes two others, as the configuration of
// HAProxy or nginx may: its check and its reload read all three. The names of
// the resource files put the main one first.
var ordered = []string{
	"templates/a.tmpl", "{{getv \"/host\"}}\n",
	"conf.d/1-main.toml", "[template]\nprefix = \"/app\"\nsrc = \"a.tmpl\"\ndest = \"OUTmain\"\n" +
		"check_cmd = 'cmp {{.src}} OUTpart1 && cmp {{.src}} OUTpart2'\n" +
		"reload_cmd = 'cat OUTmain OUTpart1 OUTpart2 OUTother | uniq >>OUTreloads'\n",
	"conf.d/2-part.toml", "[template]\nprefix = \"/app\"\nsrc = \"a.tmpl\"\ndest = \"OUTpart1\"\n",
	"conf.d/3-part.toml", "[template]\nprefix = \"/app\"\nsrc = \"a.tmpl\"\ndest = \"OUTpart2\"\n",
	"conf.d/4-other.toml", "[template]\nprefix = \"/app\"\nsrc = \"a.tmpl\"\ndest = \"OUTother\"\ncheck_cmd = 'cmp {{.src}} OUTmain'\nreload_cmd = 'true'\n",
}

func TestOnceKeepsOrder(t *testing.T) {
	for i := range 100 {
		s := newSite(t, map[string]string{"/app/host": "x"}, ordered...)
		for name, res := range s.once() {
			if res.State != Changed {
				t.Fatalf("run %d: %s is %v: %v\n%s", i, name, res.State, res.Err, s.log.String())
			}
		}
		if got := s.read("reloads"); got != "x\n" {
			t.Fatalf("run %d: the reload saw %q", i, got)
		}
	}
}

func TestDaemonKeepsOrder(t *testing.T) {
	s := newSite(t, map[string]string{"/app/host": "0"}, ordered...)
	d := s.start()
	d.ready()
	want := "0\n"
	d.waitFile("reloads", want)
	for i := range 100 {
		s.backend.put("/app/host", fmt.Sprint(i+1))
		want += fmt.Sprintf("%d\n", i+1)
		d.waitFile("reloads", want)
		if t.Failed() {
			return
		}
		// The unit that is still busy with its reload is not waited for.
		waitFor(t, "everything to settle", func() bool {
			for _, res := range d.engine.Status().Resources {
				if res.ReloadPending {
					return false
				}
			}
			return true
		})
	}
	if strings.Contains(s.log.String(), "check failed") {
		t.Error("a check failed")
	}
}

// Units that begin while the first keys arrive have a place in their order all the same.
func TestStartKeepsOrder(t *testing.T) {
	for i := range 100 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			s := newSite(t, map[string]string{"/app/host": "x"}, ordered...)
			d := s.start()
			d.ready()
			if strings.Contains(s.log.String(), "check failed") {
				t.Fatal("a check came before the files that it reads")
			}
		})
	}
}

// A check that takes its time holds the others back for a second, and is named.
func TestOrderGoesOnWithoutSlowCheck(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate,
		"conf.d/a.toml", plainResource+`check_cmd = "while [ ! -e OUTgo ]; do sleep 0.02; done"`,
		"conf.d/b.toml", strings.ReplaceAll(plainResource, "OUTa.conf", "OUTb.conf")+`reload_cmd = "cat OUTb.conf >>OUTreloads"`)
	began := time.Now()
	d := s.start()
	d.waitFile("reloads", "10.0.0.1\n")
	if took := time.Since(began); took < patience || took > 3*patience {
		t.Errorf("the other unit waited for %v, want about %v", took, patience)
	}
	d.waitLog(`msg="resource is slow, the others go on without it" resource=a`)

	// As long as the check runs, it is waited for no more.
	began = time.Now()
	s.backend.put("/app/host", "10.0.0.2")
	d.waitFile("reloads", "10.0.0.1\n10.0.0.2\n")
	if took := time.Since(began); took > patience/2 {
		t.Errorf("the other unit waited for %v again", took)
	}
	s.write("out/go", "")
	d.waitFile("a.conf", "10.0.0.2\n")
}

// No reload starts before the last file of a change is in place, or has failed.
func TestReloadWaitsForFilesOfOtherUnits(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate,
		"conf.d/a.toml", plainResource+`reload_cmd = "cat OUTb.conf >>OUTreloads"`,
		"conf.d/b.toml", strings.ReplaceAll(plainResource, "OUTa.conf", "OUTb.conf")+
			"check_cmd = \"sleep 0.2\"\nreload_cmd = \"true\"",
		"conf.d/c.toml", strings.ReplaceAll(plainResource, "OUTa.conf", "OUTc.conf")+
			"check_cmd = \"false\"\nreload_cmd = \"true\"")
	results := s.once()
	s.wantState(results, "a", Changed, "")
	s.wantState(results, "b", Changed, "")
	s.wantState(results, "c", Failed, "check failed: exit status 1")
	if got, want := s.read("reloads"), "10.0.0.1\n"; got != want {
		t.Errorf("the reload saw %q, want %q", got, want)
	}
}

// A timer that fires while the head finishes must not cost the next one its
// turn.
func TestOrderSkipsOnlyWhatIsLate(t *testing.T) {
	e := New(Options{})
	var resources []*resourceState
	for _, name := range []string{"a", "b", "c"} {
		r := &resource.Resource{Name: name, File: name + ".toml", ReloadCmd: name}
		resources = append(resources, e.newUnit(name, r, true).newResource(r))
	}
	places := newOrder(slog.New(slog.DiscardHandler), resources)
	o := places[resources[0]].order
	defer o.timer.Stop()
	places[resources[0]].finish()
	o.skip() // of the timer that was set for a
	if o.head != 1 || places[resources[1]].done {
		t.Error("b has lost its turn, which has just begun")
	}
}

// Slow checks do not add up to a second each for the last resource.
func TestOrderSlowChecksDoNotAddUp(t *testing.T) {
	files := []string{"templates/a.tmpl", hostTemplate,
		"conf.d/z.toml", "[template]\nprefix = \"/app\"\nsrc = \"a.tmpl\"\ndest = \"OUTz.conf\"\nreload_cmd = \"cp OUTz.conf OUTproxy\"\n"}
	for i := range 5 {
		files = append(files, fmt.Sprintf("conf.d/a%d.toml", i),
			fmt.Sprintf("[template]\nprefix = \"/app\"\nsrc = \"a.tmpl\"\ndest = \"OUTa%d.conf\"\ncheck_cmd = \"while [ -e OUTslow ]; do sleep 0.02; done\"\n", i))
	}
	s := newSite(t, twoKeys, files...)
	d := s.start()
	d.ready()
	s.write("out/slow", "")
	began := time.Now()
	s.backend.put("/app/host", "10.0.0.2")
	d.waitFile("proxy", "10.0.0.2\n")
	if took := time.Since(began); took > 2*patience+500*time.Millisecond {
		t.Errorf("five slow checks held the last resource back for %v", took)
	}
	if err := os.Remove(s.out("slow")); err != nil {
		t.Fatal(err)
	}
}

// Changes that keep coming do not put a reload off for longer than one change may.
func TestReloadIsNotPutOffByFurtherChanges(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate,
		"conf.d/a.toml", plainResource+`reload_cmd = "echo >>OUTreloads"`,
		"conf.d/b.toml", strings.ReplaceAll(plainResource, "OUTa.conf", "OUTb.conf")+"check_cmd = \"sleep 0.2\"\nreload_cmd = \"true\"")
	d := s.start()
	d.ready()
	before := s.read("reloads")
	for i, began := 0, time.Now(); s.read("reloads") == before; i++ {
		if took := time.Since(began); took > 5*patience {
			t.Fatalf("no reload for %v, while the host changes ten times a second", took)
		}
		s.backend.put("/app/host", fmt.Sprint(i))
		time.Sleep(100 * time.Millisecond)
	}
}
