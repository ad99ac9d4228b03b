package engine

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var cluster = map[string]string{
	"/app/initialize":  "7000000000000000001",
	"/app/leader":      "db1",
	"/app/members/db1": `{"conn_url":"postgres://10.0.0.1:5432/postgres","state":"running","role":"primary"}`,
	"/app/members/db2": `{"conn_url":"postgres://10.0.0.2:5432/postgres","state":"running","role":"replica"}`,
}

// What waits for the cluster is held; what no change of the keys can mend has
// failed.
func TestHeldOrFailed(t *testing.T) {
	withoutLeader := map[string]string{}
	for key, value := range cluster {
		withoutLeader[key] = value
	}
	delete(withoutLeader, "/app/leader")
	for _, tt := range []struct {
		name, template string
		keys           map[string]string
		want           State
	}{
		{"no primary", `{{primary.Host}}`, withoutLeader, Held},
		{"no leader", `{{.x}}{{with cluster}}{{.Leader.Host}}{{end}}`, withoutLeader, Held},
		{"no such key now", `{{getv "/nokey"}}`, cluster, Held},
		{"misspelt field", `{{primary.Hostt}}`, cluster, Failed},
		{"misspelt field without a primary", `{{range members}}{{.Hostt}}{{end}}`, withoutLeader, Failed},
		{"misspelt field in an include", `{{include "part.tmpl" primary}}`, cluster, Failed},
		{"no primary in an include", `{{include "part.tmpl" primary}}`, withoutLeader, Held},
		{"wrong number of arguments", `{{getv}}`, cluster, Failed},
		{"no value", `host={{.Host}}`, cluster, Failed},
		{"wrong scope", `{{primary.Host}}`, map[string]string{"/other/leader": "x"}, Failed},
	} {
		s := newSite(t, tt.keys, "templates/a.tmpl", tt.template, "templates/part.tmpl", "{{.Hostt}}", "conf.d/a.toml", plainResource)
		if got := s.once()["a"]; got.State != tt.want {
			t.Errorf("%s: %v (%v), want %v", tt.name, got.State, got.Err, tt.want)
		}
		s.wantFiles()
	}
}

// A switchover holds a resource for a moment, which is worth no warning; what
// lasts is.
func TestHeldBecomesWarning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, cluster, "templates/a.tmpl", `{{primary.Addr}}`, "conf.d/a.toml", plainResource)
		d := s.start()
		d.ready()
		s.backend.del("/app/leader")
		d.waitState("a", Held)
		s.backend.put("/app/leader", "db2", "/app/members/db2", strings.ReplaceAll(cluster["/app/members/db2"], "replica", "primary"))
		d.waitFile("a.conf", "10.0.0.2:5432")
		d.waitLog(`msg="resource recovered"`)
		d.waitLog(`change="primary db1 -> db2, readers -db2"`)
		if log := s.log.String(); strings.Contains(log, "level=WARN") {
			t.Errorf("a short hold was a warning:\n%s", log)
		}
		began := time.Now()
		s.backend.del("/app/leader")
		waitFor(t, "the warning", func() bool {
			return strings.Contains(s.log.String(), `level=WARN msg="resource is held, its file stays as it is"`)
		})
		if took := time.Since(began); took < heldQuietly {
			t.Errorf("the warning came after %v, want it after %v", took, heldQuietly)
		}
	})
}

// Keys that have never been read are not in sync, even if a reload that an
// earlier run left pending has been done.
func TestPendingReloadWhileBackendAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml", plainResource+`reload_cmd = "echo x >>OUTreloads"`)
		s.write("out/a.conf", "10.0.0.1\n")
		s.write("out/.a.conf.pc4patroni-reload", "")
		s.backend.setAway(errAway)
		results := s.once()
		s.wantState(results, "a", Waiting, "backend not read: connection refused")
		if !errors.Is(results["a"].Err, ErrUnreachable) || results["a"].ReloadPending {
			t.Errorf("after the reload: %+v", results["a"])
		}
		if got := s.read("reloads"); got != "x\n" {
			t.Errorf("%d reloads, want one", len(got)/2)
		}

		s.write("out/.a.conf.pc4patroni-reload", "")
		d := s.start()
		d.waitFile("reloads", "x\nx\n")
		waitFor(t, "the reload to be done", func() bool { return !d.state("a").ReloadPending })
		if got := d.state("a"); got.State != Waiting || d.isReady() {
			t.Errorf("a resource whose keys were never read is %v, ready: %v", got.State, d.isReady())
		}
		if got := d.state("a").LastSuccess; !got.IsZero() {
			t.Errorf("its last success was at %v", got)
		}
	})
}

func TestNoopKeepsStagedFile(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml", plainResource+`reload_cmd = "touch OUTreloaded"`)
	s.write("out/a.conf", "old\n")
	s.opts.Noop, s.opts.KeepStageFile = true, true
	s.wantState(s.once(), "a", Pending, "")
	staged, _ := filepath.Glob(s.out(".pc4patroni-*-a.conf"))
	if len(staged) != 1 || readFile(t, staged[0]) != "10.0.0.1\n" {
		t.Errorf("staged: %q", staged)
	}
	if got := s.read("a.conf"); got != "old\n" {
		t.Errorf("a.conf = %q", got)
	}
}

// What a file lacks because of a permission is said once, not at every try.
func TestSameFailureIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml", strings.ReplaceAll(plainResource, "OUT", "OUTdir/"))
		if err := os.WriteFile(s.out("dir"), nil, 0o600); err != nil { // no directory
			t.Fatal(err)
		}
		d := s.start()
		d.waitState("a", Failed)
		first := d.state("a").NextAttempt
		waitFor(t, "another try", func() bool { return d.state("a").NextAttempt.After(first) })
		if got := strings.Count(s.log.String(), "level=ERROR"); got != 1 {
			t.Errorf("the failure was logged %d times", got)
		}
	})
}
