package engine

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pc4patroni/backends"
)

// Resources that take their time one after the other, as with a DNS server that
// does not answer, are no standstill of their unit.
func TestSlowResourcesAreAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const pause = 300 * time.Millisecond
		files := []string{"templates/a.tmpl", `{{getenv "SLOW"}}`}
		for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
			files = append(files, "conf.d/"+name+".toml",
				strings.ReplaceAll(plainResource, "OUTa.conf", "OUT"+name)+"reload_cmd = \"touch OUTreloaded\"\n")
		}
		s := newSite(t, twoKeys, files...)
		s.opts.Getenv = func(string) string { time.Sleep(pause); return "x" }
		d := s.start()
		began := time.Now()
		for !exists(s.out("reloaded")) && time.Since(began) < 20*time.Second {
			// Each is shorter than the time since which somebody must have been alive.
			if stalled := d.engine.Stalled(time.Now().Add(-2 * pause)); len(stalled) > 0 && time.Since(began) > 3*pause {
				t.Fatalf("after %v stalled: %v", time.Since(began), stalled)
			}
			time.Sleep(10 * time.Millisecond)
		}
		d.ready()
	})
}

// A template may look up many names, each of which takes its time.
func TestLookupIsNoStandstill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var live liveness
		live.beat()
		resolver := beatingResolver{&live}
		for _, lookup := range []func() error{
			func() error { _, err := resolver.LookupIP(t.Context(), "ip", "127.0.0.1"); return err },
			func() error { _, _, err := resolver.LookupSRV(t.Context(), "", "", "\x00"); return err },
		} {
			time.Sleep(time.Minute)
			before := time.Now()
			_ = lookup() // what it finds does not matter
			if !live.alive(before, time.Now()) {
				t.Error("a lookup does not count as a sign of life")
			}
		}
	})
}

// A file system that does not answer, as a network mount may, stalls the unit
// that waits for it, and nobody else.
func TestStalledInFileSystem(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", `{{getenv "HANG"}}`, "templates/b.tmpl", hostTemplate,
		"conf.d/a.toml", plainResource, "conf.d/b.toml", other)
	go_ := make(chan struct{})
	s.opts.Getenv = func(string) string { <-go_; return "x" }
	d := s.start()
	d.waitFile("b.conf", "10.0.0.1\n")
	since := time.Now()
	d.engine.Stalled(since)
	waitFor(t, "the others to take their turns", func() bool { return slices.Equal(d.engine.Stalled(since), []string{"a"}) })
	close(go_)
	d.waitFile("a.conf", "x")
	waitFor(t, "every loop to turn", func() bool { return len(d.engine.Stalled(since)) == 0 })
}

// A hook of the program must not be able to make a daemon of pc4patroni: what a
// command leaves behind goes on, and its output goes nowhere.
func TestCommandLeftBehindGoesOnWriting(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml",
		plainResource+`reload_cmd = "(while [ ! -e OUTgo ]; do sleep 0.02; done; sleep 0.3; echo still here; echo $? >OUTproof) & echo $! >OUTpid"`)
	s.wantState(s.once(), "a", Changed, "")
	s.write("out/go", "")
	waitFor(t, "what was left behind to write", func() bool { return exists(s.out("proof")) && s.read("proof") != "" })
	if got := s.read("proof"); got != "0\n" {
		t.Errorf("writing ended with %q", got)
	}
	_ = syscall.SIGPIPE // what it must not die of
}

// blackHole is a backend whose requests are answered by nobody.
type blackHole struct {
	*fakeBackend
	timeout time.Duration // after which a request fails
	asked   atomic.Int32
}

func (b *blackHole) Watch(ctx context.Context, paths []backends.WatchPath, resync time.Duration, sink func([]backends.Update) error) error {
	b.asked.Add(1)
	select {
	case <-time.After(b.timeout):
		return errAway
	case <-ctx.Done():
		return ctx.Err()
	}
}

// An etcd that does not answer is no standstill, however long request-timeout
// is: the daemon must not be ended for it.
func TestBlackHoleIsNoStandstill(t *testing.T) {
	for _, timeout := range []time.Duration{25 * time.Second, 100 * time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml", plainResource)
			b := &blackHole{fakeBackend: s.backend, timeout: timeout}
			s.opts.Open = func(string) (backends.Backend, error) { return b, nil }
			d := s.start()
			for range 60 {
				asked := time.Now()
				d.engine.Stalled(asked)
				time.Sleep(20 * time.Second)
				if stalled := d.engine.Stalled(asked); len(stalled) > 0 {
					t.Fatalf("with requests of %v stalled: %v", timeout, stalled)
				}
			}
			if d.engine.Status().Backends[""].Err == nil || b.asked.Load() < 2 {
				t.Errorf("with requests of %v the backend was asked %d times", timeout, b.asked.Load())
			}
		})
	}
}

// A unit that ended because its resource is gone is not one that stands still: systemd would
// end the daemon for it.
func TestRemovedResourceIsNoStandstill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml", plainResource,
			"conf.d/b.toml", strings.ReplaceAll(plainResource, "OUTa.conf", "OUTb.conf"))
		d := s.start()
		d.ready()
		if err := os.Remove(filepath.Join(s.dir, "conf.d", "b.toml")); err != nil {
			t.Fatal(err)
		}
		d.reload()
		for range 3 {
			asked := time.Now()
			d.engine.Stalled(asked)
			time.Sleep(20 * time.Second)
			if stalled := d.engine.Stalled(asked); len(stalled) > 0 {
				t.Fatalf("stalled: %v", stalled)
			}
		}
	})
}
