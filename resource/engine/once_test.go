package engine

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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
	if !results["a"].ReloadPending {
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
	s.wantState(results, "twin1", Failed, `DIR/conf.d/twin1.toml: line 4: dest "DIR/out/twin" is also the dest of DIR/conf.d/twin2.toml: a file can belong to only one resource`)
	s.wantState(results, "twin2", Failed, `DIR/conf.d/twin2.toml: line 4: dest "DIR/out/twin" is also the dest of DIR/conf.d/twin1.toml: a file can belong to only one resource`)
	s.wantState(results, "empty", Failed, "no key at or below /nothing/: is the prefix right? (for a cluster that may be empty: allow_empty = true)")
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
	if got.State != Failed || !strings.Contains(got.Err.Error(), "does it include itself?") {
		t.Errorf("endless include: %v, %v", got.State, got.Err)
	}
	s.write("templates/part.tmpl", "\n{{getv \"/nokey\"}}")
	s.wantState(s.once(), "a", Held, `DIR/templates/a.tmpl: line 1: DIR/templates/part.tmpl: line 2: at <getv "/nokey">: key does not exist: /nokey (below the prefix /app)`)
}

func TestTemplateErrorsSuggest(t *testing.T) {
	tests := []struct{ template, want string }{
		{`{{primry}}`, `line 1: function "primry" not defined (did you mean "primary"?)`},
		{`{{env "HOME"}}`, `line 1: function "env" not defined: `},
		{`{{range members}}{{.Adr}}{{end}}`, `line 1, column 20: at <.Adr>: a member has no .Adr (did you mean .Addr?)`},
		{`{{cluster.Scop}}`, `line 1, column 3: at <cluster>: a cluster has no .Scop (did you mean .Scope?)`},
		{`{{(index (gets "/*") 0).Vale}}`, `line 1, column 22: at <0>: there is no field Vale in a value of type memkv.KVPair`},
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
	s.backend.deny("/secret/")
	results := s.once()
	s.wantState(results, "a", Changed, "")
	s.wantState(results, "b", Failed, "/secret/: access denied")
	s.wantFiles("a.conf")
}
