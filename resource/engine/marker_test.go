package engine

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// pendingBehind returns a site whose file is in sync and whose reload is
// pending since an earlier run, in the directory out/real. The dest is in
// out/dir, which show makes.
func pendingBehind(t *testing.T) (s *site, show func()) {
	s = newSite(t, twoKeys, "templates/a.tmpl", hostTemplate,
		"conf.d/a.toml", strings.ReplaceAll(plainResource, "OUTa.conf", "OUTdir/a.conf")+`reload_cmd = "echo x >>OUTreloads"`)
	s.write("out/real/a.conf", "10.0.0.1\n")
	s.write("out/real/.a.conf.pc4patroni-reload", "")
	return s, func() {
		t.Helper()
		_ = os.Remove(s.out("dir"))
		if err := os.Rename(s.out("real"), s.out("dir")); err != nil {
			t.Fatal(err)
		}
	}
}

// A marker that cannot be read at start is read when it can be.
func TestMarkerUnreadableAtStart(t *testing.T) {
	for _, tt := range []struct {
		name    string
		problem func(s *site) error
		away    bool
	}{
		{"a loop of links", func(s *site) error { return os.Symlink("dir", s.out("dir")) }, false},
		{"a loop of links, etcd away", func(s *site) error { return os.Symlink("dir", s.out("dir")) }, true},
		{"not mounted yet", func(s *site) error { return nil }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, show := pendingBehind(t)
			if err := tt.problem(s); err != nil {
				t.Fatal(err)
			}
			if tt.away {
				s.backend.setAway(errAway)
			}
			d := s.start()
			if tt.away {
				d.waitLog("backend cannot be read")
			} else {
				d.waitState("a", Failed)
			}
			show()
			d.waitFile("reloads", "x\n")
			waitFor(t, "the marker to be removed", func() bool { return !exists(s.out("dir/.a.conf.pc4patroni-reload")) })
		})
	}
}

// The link that dest is leads elsewhere while a reload is pending: the marker
// goes along, and nothing stays behind.
func TestLinkRetargetedWhileReloadIsPending(t *testing.T) {
	t.Run("a heartbeat notices", func(t *testing.T) {
		testRetargeted(t, func(d *daemon) { d.backend.put("/app/port", "1") })
	})
	t.Run("the configuration is read again", func(t *testing.T) {
		testRetargeted(t, func(d *daemon) {
			d.write("templates/a.tmpl", hostTemplate+"{{/* edited */}}")
			d.reload()
		})
	})
}

func testRetargeted(t *testing.T, notice func(d *daemon)) {
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate,
		"conf.d/a.toml", plainResource+`reload_cmd = "test -e OUTgo && cat OUTa.conf >>OUTreloads"`)
	s.write("out/old/a", "")
	s.write("out/new/a", "10.0.0.1\n") // as if it needed no change
	link := func(to string) {
		t.Helper()
		if err := errors.Join(os.Symlink(to, s.out("next")), os.Rename(s.out("next"), s.out("a.conf"))); err != nil {
			t.Fatal(err)
		}
	}
	link("old/a")
	d := s.start()
	waitFor(t, "a reload to be pending", func() bool { return d.state("a").ReloadPending && exists(s.out("old/.a.pc4patroni-reload")) })
	link("new/a")
	notice(d)
	waitFor(t, "the marker to move", func() bool {
		return !exists(s.out("old/.a.pc4patroni-reload")) && exists(s.out("new/.a.pc4patroni-reload"))
	})
	s.write("out/go", "")
	d.waitFile("reloads", "10.0.0.1\n")
	waitFor(t, "the marker to be removed", func() bool { return !exists(s.out("new/.a.pc4patroni-reload")) })
}
