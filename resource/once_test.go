package resource

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pc4patroni/backends"
)

// site is a configuration in a temporary folder, with the files it makes in
// out/ and what its engine logged.
type site struct {
	t       *testing.T
	dir     string
	opts    Options
	backend *fakeBackend
	log     logBuffer
}

type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// newSite writes files (pairs of a path below the folder and its content) and
// returns the site. OUT in a file's content stands for the folder out/.
func newSite(t *testing.T, keys map[string]string, files ...string) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), backend: newFake(keys)}
	for _, dir := range []string{"conf.d", "templates", "out"} {
		if err := os.Mkdir(filepath.Join(s.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < len(files); i += 2 {
		s.write(files[i], files[i+1])
	}
	s.opts = Options{
		ConfDir: s.dir,
		Environ: []string{"PATH=" + os.Getenv("PATH"), "OUT=" + s.out("")},
		Logger:  slog.New(slog.NewTextHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	return s
}

func (s *site) out(name string) string { return filepath.Join(s.dir, "out", name) }

func (s *site) write(name, text string) {
	s.t.Helper()
	text = strings.ReplaceAll(text, "OUT", s.out("")+"/")
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) read(name string) string {
	s.t.Helper()
	return readFile(s.t, s.out(name))
}

// once loads and applies, and returns the results by name.
func (s *site) once() map[string]Result {
	s.t.Helper()
	set, err := Load(s.opts)
	if err != nil {
		s.t.Fatal(err)
	}
	engine := NewEngine(s.opts, Daemon{}, func(string) (backends.Backend, error) { return s.backend, nil })
	results := map[string]Result{}
	for _, res := range engine.Once(s.t.Context(), s.t.Context(), set, 300*time.Millisecond) {
		results[res.Name] = res
	}
	return results
}

func (s *site) wantState(results map[string]Result, name string, want State, err string) {
	s.t.Helper()
	got := results[name]
	if got.State != want {
		s.t.Errorf("%s is %v (%v), want %v\n%s", name, got.State, got.Err, want, s.log.String())
	}
	text := ""
	if got.Err != nil {
		text = strings.ReplaceAll(got.Err.Error(), s.dir, "DIR")
	}
	if text != err {
		s.t.Errorf("error of %s:\n got %q\nwant %q", name, text, err)
	}
}

// wantFiles compares the names in out/.
func (s *site) wantFiles(want ...string) {
	s.t.Helper()
	entries, err := os.ReadDir(s.out(""))
	if err != nil {
		s.t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("files in out/ (-want +got):\n%s", diff)
	}
}

var twoKeys = map[string]string{"/app/host": "10.0.0.1", "/app/port": "5432"}

const (
	plainTemplate = "server {{getv \"/host\"}}:{{getv \"/port\"}}\n"
	plainResource = "[template]\nprefix = \"/app\"\nsrc = \"a.tmpl\"\ndest = \"OUTa.conf\"\n"
)

func TestOnceInstallsAndReloadsOnce(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", plainTemplate,
		"conf.d/a.toml", plainResource+`check_cmd = "grep -q server {{.src}} && echo {{.dest}} >>OUTchecks"`+"\n"+`reload_cmd = "cat OUTa.conf >>OUTreloads"`)
	s.wantState(s.once(), "a", Changed, "")
	if got, want := s.read("a.conf"), "server 10.0.0.1:5432\n"; got != want {
		t.Errorf("a.conf = %q, want %q", got, want)
	}
	s.wantState(s.once(), "a", InSync, "")
	if got, want := s.read("reloads"), "server 10.0.0.1:5432\n"; got != want {
		t.Errorf("reloads = %q, want %q", got, want)
	}
	if got, want := s.read("checks"), s.out("a.conf")+"\n"; got != want {
		t.Errorf("checks = %q, want %q", got, want)
	}
	s.wantFiles("a.conf", "checks", "reloads")
}

func TestOnceRetriesReloadThatFailed(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", plainTemplate,
		"conf.d/a.toml", plainResource+`reload_cmd = "echo tried >>OUTreloads; test -e OUTproxy"`)
	results := s.once()
	s.wantState(results, "a", Failed, "reload failed: exit status 1")
	if !results["a"].ReloadOwed {
		t.Error("the reload is not owed")
	}
	s.wantFiles(".a.conf.pc4patroni-reload", "a.conf", "reloads")

	s.write("out/proxy", "")
	s.wantState(s.once(), "a", Changed, "")
	s.wantState(s.once(), "a", InSync, "")
	if got, want := s.read("reloads"), "tried\ntried\n"; got != want {
		t.Errorf("reloads = %q, want %q", got, want)
	}
	s.wantFiles("a.conf", "proxy", "reloads")
}

func TestOnceUnitReloadsOnceInFileOrder(t *testing.T) {
	resource := func(name, check string) string {
		return "[template]\nprefix = \"/app\"\nsrc = \"a.tmpl\"\ndest = \"OUT" + name + "\"\ncheck_cmd = '" + check + "'\nreload_cmd = \"echo reload >>OUTreloads\"\n"
	}
	s := newSite(t, twoKeys, "templates/a.tmpl", plainTemplate,
		"conf.d/1.toml", resource("cert", "true"),
		"conf.d/2.toml", resource("cfg", "test -e OUTcert")) // its check needs the file of the first
	results := s.once()
	s.wantState(results, "1", Changed, "")
	s.wantState(results, "2", Changed, "")
	if got, want := s.read("reloads"), "reload\n"; got != want {
		t.Errorf("reloads = %q, want %q", got, want)
	}
}

func TestOnceBadResourcesDoNotStopTheOthers(t *testing.T) {
	good := plainResource
	bad := func(dest, more string) string {
		return "[template]\nprefix = \"/app\"\nsrc = \"a.tmpl\"\ndest = \"OUT" + dest + "\"\n" + more
	}
	s := newSite(t, twoKeys,
		"templates/a.tmpl", plainTemplate,
		"templates/missing.tmpl", "\n{{getv \"/user\"}}\n",
		"templates/unknown.tmpl", "{{range gets \"/*\"}}{{end}}\n{{getvv \"/host\"}}",
		"templates/syntax.tmpl", "a\n{{if true}}\nb",
		"templates/noprimary.tmpl", "{{primary.Host}}",
		"conf.d/good.toml", good,
		"conf.d/check.toml", bad("check", `check_cmd = "echo wrong host; exit 3"`),
		"conf.d/dir.toml", bad("nodir/file", ""),
		"conf.d/isdir.toml", bad("isdir", ""),
		"conf.d/missing.toml", strings.ReplaceAll(bad("missing", ""), "a.tmpl", "missing.tmpl"),
		"conf.d/unknown.toml", strings.ReplaceAll(bad("unknown", ""), "a.tmpl", "unknown.tmpl"),
		"conf.d/syntax.toml", strings.ReplaceAll(bad("syntax", ""), "a.tmpl", "syntax.tmpl"),
		"conf.d/notemplate.toml", strings.ReplaceAll(bad("notemplate", ""), "a.tmpl", "no.tmpl"),
		"conf.d/typo.toml", bad("typo", "chek_cmd = \"true\"\nmdoe = \"0644\""),
		"conf.d/toml.toml", "[template\n",
		"conf.d/twin1.toml", bad("twin", ""),
		"conf.d/twin2.toml", bad("twin", ""),
		"conf.d/empty.toml", strings.ReplaceAll(bad("empty", ""), "/app", "/nothing"),
		"conf.d/hang.toml", bad("hang", "check_cmd = \"sleep 600\"\ncheck_cmd_timeout = \"100ms\""),
	)
	if err := os.Mkdir(s.out("isdir"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.write("out/check", "old\n")
	results := s.once()

	s.wantState(results, "good", Changed, "")
	s.wantState(results, "check", Failed, "check failed: exit status 3")
	s.wantState(results, "hang", Failed, "check failed: timed out after 100ms")
	s.wantState(results, "dir", Failed, "the directory DIR/out/nodir does not exist: create it, or set create_dest_dirs = true")
	s.wantState(results, "isdir", Failed, "compare with the disk: DIR/out/isdir is a directory, not a regular file: change dest, or move it away")
	s.wantState(results, "missing", Held, `DIR/templates/missing.tmpl: line 2: at <getv "/user">: key does not exist: /user (below the prefix /app)`)
	s.wantState(results, "unknown", Failed, `DIR/templates/unknown.tmpl: line 2: function "getvv" not defined (did you mean "getv"?)`)
	s.wantState(results, "syntax", Failed, `DIR/templates/syntax.tmpl: line 3: unexpected EOF`)
	s.wantState(results, "notemplate", Failed, `DIR/conf.d/notemplate.toml: line 3: read template: open DIR/templates/no.tmpl: no such file or directory`)
	s.wantState(results, "typo", Failed, "DIR/conf.d/typo.toml: line 5: unknown key \"chek_cmd\" (did you mean \"check_cmd\"?)\n"+
		"DIR/conf.d/typo.toml: line 6: unknown key \"mdoe\" (did you mean \"mode\"?)")
	s.wantState(results, "twin1", Failed, `DIR/conf.d/twin1.toml: line 4: dest "DIR/out/twin" is also the dest of DIR/conf.d/twin2.toml: one file can have one resource only`)
	s.wantState(results, "twin2", Failed, `DIR/conf.d/twin2.toml: line 4: dest "DIR/out/twin" is also the dest of DIR/conf.d/twin1.toml: one file can have one resource only`)
	s.wantState(results, "empty", Held, "no key at or below /nothing/: check the prefix; the file stays as it is unless allow_empty = true")
	if got := results["toml"]; got.State != Failed || !strings.Contains(got.Err.Error(), "toml.toml: line 2:") {
		t.Errorf("toml is %v: %v", got.State, got.Err)
	}
	if got, want := s.read("check"), "old\n"; got != want {
		t.Errorf("file whose check failed = %q, want %q", got, want)
	}
	if !strings.Contains(s.log.String(), `output="wrong host"`) {
		t.Errorf("what the check printed is not in the log:\n%s", s.log.String())
	}
	s.wantFiles("a.conf", "check", "isdir")
}

func TestOnceBackendAway(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", plainTemplate, "conf.d/a.toml", plainResource)
	s.write("out/a.conf", "old\n")
	s.backend.setAway(errAway)
	results := s.once()
	s.wantState(results, "a", Waiting, "backend not read: connection refused")
	if err := results["a"].Err; !errors.Is(err, ErrUnreachable) {
		t.Errorf("error %v is not ErrUnreachable", err)
	}
	if got := s.read("a.conf"); got != "old\n" {
		t.Errorf("a.conf = %q, want the old one", got)
	}
}

func TestOnceNoopTouchesNothing(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", plainTemplate,
		"conf.d/a.toml", plainResource+"mode = \"0600\"\ncheck_cmd = \"touch OUTchecked\"\nreload_cmd = \"touch OUTreloaded\"")
	s.write("out/a.conf", "old\n")
	s.opts.Noop = true
	results := s.once()
	s.wantState(results, "a", Pending, "")
	want := &Change{Dest: s.out("a.conf"), Old: []byte("old\n"), Now: []byte("server 10.0.0.1:5432\n"), Metadata: []string{"mode 0644 -> 0600"}, Reload: "touch " + s.out("reloaded")}
	if diff := cmp.Diff(want, results["a"].Change); diff != "" {
		t.Errorf("change (-want +got):\n%s", diff)
	}
	s.wantFiles("a.conf")
}

// Looking runs nothing and settles nothing, not even what is owed.
func TestOnceNoopLeavesOwedReload(t *testing.T) {
	for _, partial := range []bool{false, true} {
		s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml", plainResource+`reload_cmd = "touch OUTreloaded"`)
		s.write("out/a.conf", "10.0.0.1\n")
		if err := setMark(s.out("a.conf"), partial); err != nil {
			t.Fatal(err)
		}
		s.opts.Noop = true
		s.wantState(s.once(), "a", Pending, "")
		s.wantFiles(".a.conf.pc4patroni-reload", "a.conf")
		if got := isPartial(s.out("a.conf")); got != partial {
			t.Errorf("the mark is partial: %v, want it as it was: %v", got, partial)
		}
	}
}

func TestOnceHoldsNoValue(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", "# first\nhost={{.Host}}\n", "conf.d/a.toml", plainResource)
	s.wantState(s.once(), "a", Held, "DIR/templates/a.tmpl: what it renders has <no value> in line 2: a field or key that is not there is printed; check for it with {{if}}, or give it a default")
	s.wantFiles()
}

func TestOnceDatetimeIsNoChange(t *testing.T) {
	s := newSite(t, twoKeys,
		"templates/a.tmpl", "# {{datetime.Format \"2006-01-02 15:04:05\"}}\nserver {{getv \"/host\"}}\n",
		"conf.d/a.toml", plainResource+`reload_cmd = "echo reload >>OUTreloads"`)
	s.wantState(s.once(), "a", Changed, "")
	first := s.read("a.conf")
	// As if a day and a bit had gone by.
	then := time.Now().Add(-25*time.Hour - 7*time.Minute).Truncate(time.Second)
	yesterday := "# " + then.Format("2006-01-02 15:04:05") + "\nserver 10.0.0.1\n"
	s.write("out/a.conf", yesterday)
	if err := os.Chtimes(s.out("a.conf"), then, then); err != nil {
		t.Fatal(err)
	}
	s.wantState(s.once(), "a", InSync, "")
	if got := s.read("a.conf"); got != yesterday {
		t.Errorf("a.conf = %q, want it as it was", got)
	}
	s.backend.put("/app/host", "10.0.0.2")
	s.wantState(s.once(), "a", Changed, "")
	if got := s.read("a.conf"); !strings.HasSuffix(got, "server 10.0.0.2\n") || strings.Contains(got, then.Format("15:04:05")) {
		t.Errorf("a.conf = %q, first was %q", got, first)
	}
	s.wantState(s.once(), "a", InSync, "")
	if got, want := s.read("reloads"), "reload\nreload\n"; got != want {
		t.Errorf("reloads = %q, want %q", got, want)
	}
}

func TestOnceSyncOnlyAndDestDir(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", plainTemplate,
		"conf.d/a.toml", "[template]\nprefix = \"/app\"\nsrc = \"a.tmpl\"\ndest = \"/etc/proxy/a.conf\"\nowner = \"nobody-has-this-name\"\ncheck_cmd = \"false\"\nreload_cmd = \"false\"")
	s.opts.DestDir, s.opts.SyncOnly = s.out("root"), true
	s.wantState(s.once(), "a", Changed, "")
	if got, want := s.read("root/etc/proxy/a.conf"), "server 10.0.0.1:5432\n"; got != want {
		t.Errorf("a.conf = %q, want %q", got, want)
	}
	s.wantState(s.once(), "a", InSync, "")
}

func TestOnceKeepsModeAndFollowsLink(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", plainTemplate, "conf.d/a.toml", plainResource+"backup = true")
	s.write("out/real.conf", "old\n")
	if err := os.Chmod(s.out("real.conf"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real.conf", s.out("a.conf")); err != nil {
		t.Fatal(err)
	}
	s.wantState(s.once(), "a", Changed, "")
	if link, err := os.Readlink(s.out("a.conf")); err != nil || link != "real.conf" {
		t.Errorf("the link is gone: %q, %v", link, err)
	}
	info, err := os.Stat(s.out("real.conf"))
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o640 {
		t.Errorf("mode = %v, want -rw-r-----", got)
	}
	if got := s.read("real.conf.bak"); got != "old\n" {
		t.Errorf("backup = %q, want the old file", got)
	}
	s.wantFiles("a.conf", "real.conf", "real.conf.bak")
}

func TestOnceRemovesLeftovers(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", plainTemplate, "conf.d/a.toml", plainResource)
	s.write("out/.pc4patroni-0123456789abcdef-a.conf", "left over")
	s.write("out/.pc4patroni-0123456789abcdef-b.conf", "of another program's resource")
	s.write("out/.pc4patroni-mine-a.conf", "not one of ours")
	inUse, err := stage(s.out("a.conf"), fileState{}, content{mode: keep, uid: keep, gid: keep})
	if err != nil {
		t.Fatal(err)
	}
	defer inUse.discard()
	s.wantState(s.once(), "a", Changed, "")
	s.wantFiles(".pc4patroni-0123456789abcdef-b.conf", filepath.Base(inUse.path), ".pc4patroni-mine-a.conf", "a.conf")
}

func TestOnceInclude(t *testing.T) {
	s := newSite(t, twoKeys,
		"templates/a.tmpl", `{{include "part.tmpl" (getv "/host")}}{{include (printf "%s.tmpl" "part") "x"}}`,
		"templates/part.tmpl", "<{{.}}>",
		"conf.d/a.toml", plainResource)
	s.wantState(s.once(), "a", Changed, "")
	if got, want := s.read("a.conf"), "<10.0.0.1><x>"; got != want {
		t.Errorf("a.conf = %q, want %q", got, want)
	}
	s.write("templates/part.tmpl", `{{include "part.tmpl" .}}`)
	got := s.once()["a"]
	if got.State != Held || !strings.Contains(got.Err.Error(), "does it include itself?") {
		t.Errorf("endless include: %v, %v", got.State, got.Err)
	}
	s.write("templates/part.tmpl", "\n{{getv \"/nokey\"}}")
	s.wantState(s.once(), "a", Held, `DIR/templates/a.tmpl: line 1: DIR/templates/part.tmpl: line 2: at <getv "/nokey">: key does not exist: /nokey (below the prefix /app)`)
}

func TestTemplateErrorsSuggest(t *testing.T) {
	tests := []struct{ template, want string }{
		{`{{primry}}`, `line 1: function "primry" not defined (did you mean "primary"?)`},
		{`{{env "HOME"}}`, `line 1: function "env" not defined: `},
		{`{{range members}}{{.Adr}}{{end}}`, `line 1: at <.Adr>: a member has no .Adr (did you mean .Addr?)`},
		{`{{cluster.Scop}}`, `line 1: at <cluster>: a cluster has no .Scop (did you mean .Scope?)`},
		{`{{(index (gets "/*") 0).Vale}}`, `line 1: at <0>: there is no field Vale in a value of type memkv.KVPair`},
	}
	for _, tt := range tests {
		s := newSite(t, map[string]string{
			"/app/leader":      "db1",
			"/app/members/db1": `{"conn_url":"postgres://10.0.0.1:5432/postgres","state":"running","role":"primary"}`,
		}, "templates/a.tmpl", tt.template, "conf.d/a.toml", plainResource)
		got := s.once()["a"]
		if got.Err == nil || !strings.Contains(got.Err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.template, got.Err, tt.want)
		}
	}
}

// What one resource may not read does not keep the others from theirs.
func TestOnceDeniedPath(t *testing.T) {
	s := newSite(t, map[string]string{"/app/host": "10.0.0.1", "/secret/host": "10.0.0.2"}, "templates/a.tmpl", hostTemplate,
		"conf.d/a.toml", plainResource,
		"conf.d/b.toml", strings.ReplaceAll(strings.ReplaceAll(plainResource, "/app", "/secret"), "OUTa", "OUTb"))
	s.backend.denied = "/secret/"
	results := s.once()
	s.wantState(results, "a", Changed, "")
	s.wantState(results, "b", Failed, "/secret/: access to a path denied, access denied")
	s.wantFiles("a.conf")
}
