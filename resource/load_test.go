package resource

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pc4patroni/funcs"
	"pc4patroni/resource/install"
)

// configuration writes files (pairs of a path and its content) and returns the
// folder. DIR in a content stands for the folder.
func configuration(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(dir, files[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(files[i+1], "DIR", dir)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func mustLoad(t *testing.T, dir string) *Set {
	t.Helper()
	set, err := Load(Options{ConfDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func declare(src, dest, more string) string {
	return fmt.Sprintf("[template]\nprefix = \"/app\"\nsrc = %q\ndest = %q\n%s\n", src, dest, more)
}

func render(t *testing.T, res *Resource, pairs ...string) string {
	t.Helper()
	store := funcs.NewStore()
	for i := 0; i < len(pairs); i += 2 {
		store.Set(pairs[i], pairs[i+1])
	}
	text, err := res.Render(&funcs.Env{Store: store, Prefix: res.Prefix})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestLoadReadsSubfolders(t *testing.T) {
	dir := configuration(t, "templates/a.tmpl", "x",
		"conf.d/b.toml", declare("a.tmpl", "/etc/b", ""),
		"conf.d/a/z.toml", declare("a.tmpl", "/etc/a", ""),
		"conf.d/.hidden/c.toml", "nonsense",
		"conf.d/.d.toml", "nonsense")
	set := mustLoad(t, dir)
	var names []string
	for _, res := range set.Resources {
		names = append(names, res.Name)
	}
	if diff := cmp.Diff([]string{"a/z", "b"}, names); diff != "" || len(set.Broken) != 0 {
		t.Errorf("broken: %v, resources (-want +got):\n%s", set.Broken, diff)
	}
}

// Two resources that call one file by two names would write it by turns.
func TestLoadRejectsDestsThatLeadToOneFile(t *testing.T) {
	dir := configuration(t, "templates/a.tmpl", "x",
		"conf.d/1.toml", declare("a.tmpl", "DIR/real/f", ""),
		"conf.d/2.toml", declare("a.tmpl", "DIR/link/f", ""),
		"conf.d/3.toml", declare("a.tmpl", "DIR/real/../real//g", ""),
		"conf.d/4.toml", declare("a.tmpl", "DIR/g", ""),
		"conf.d/5.toml", declare("a.tmpl", "DIR/real/alone", ""))
	if err := os.Mkdir(filepath.Join(dir, "real"), 0o755); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"link": "real", "g": "real/g"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	set := mustLoad(t, dir)
	var got []string
	for _, b := range set.Broken {
		got = append(got, strings.ReplaceAll(b.Err.Error(), dir, "DIR"))
	}
	want := []string{
		`DIR/conf.d/1.toml: line 4: dest "DIR/real/f" leads to DIR/real/f, as does dest "DIR/link/f" of DIR/conf.d/2.toml: a file can belong to only one resource`,
		`DIR/conf.d/2.toml: line 4: dest "DIR/link/f" leads to DIR/real/f, as does dest "DIR/real/f" of DIR/conf.d/1.toml: a file can belong to only one resource`,
		`DIR/conf.d/3.toml: line 4: dest "DIR/real/g" leads to DIR/real/g, as does dest "DIR/g" of DIR/conf.d/4.toml: a file can belong to only one resource`,
		`DIR/conf.d/4.toml: line 4: dest "DIR/g" leads to DIR/real/g, as does dest "DIR/real/g" of DIR/conf.d/3.toml: a file can belong to only one resource`,
	}
	if diff := cmp.Diff(want, got); diff != "" || len(set.Resources) != 1 {
		t.Errorf("%d resources, broken (-want +got):\n%s", len(set.Resources), diff)
	}
}

// What a template includes by a computed name is part of what was loaded: it is
// read again by the next Load, and counts when two loads are compared.
func TestLoadReadsIncludesWithComputedNames(t *testing.T) {
	files := []string{
		"templates/a.tmpl", `{{include (getv "/part") "x"}}`,
		"templates/parts/one.tmpl", `one {{.}} {{template "inner"}}{{define "inner"}}{{upper "a"}}{{end}}`,
		"templates/broken.tmpl", `{{nonsense}}`,
		"conf.d/a.toml", declare("a.tmpl", "/etc/a", "")}
	dir := configuration(t, files...)
	first := mustLoad(t, dir).Resources[0]
	if got, want := render(t, first, "/part", "parts/one.tmpl"), "one x A"; got != want {
		t.Errorf("rendered %q, want %q", got, want)
	}
	if again := mustLoad(t, dir).Resources[0]; !first.SameAs(again) {
		t.Error("two loads of the same files differ")
	}
	if err := os.WriteFile(filepath.Join(dir, "templates/parts/one.tmpl"), []byte("new {{.}}"), 0o644); err != nil {
		t.Fatal(err)
	}
	edited := mustLoad(t, dir).Resources[0]
	if first.SameAs(edited) {
		t.Error("the edit of an included template goes unnoticed")
	}
	if got, want := render(t, edited, "/part", "parts/one.tmpl"), "new x"; got != want {
		t.Errorf("rendered %q, want %q", got, want)
	}
	for _, name := range []string{"broken.tmpl", "missing.tmpl", "../conf.d/a.toml"} {
		store := funcs.NewStore()
		store.Set("/part", name)
		if text, err := edited.Render(&funcs.Env{Store: store}); err == nil {
			t.Errorf("include %s gave %q, want an error", name, text)
		}
	}
}

// A missing literal include is a mistake that shows at once; what merely looks
// like one does not matter.
func TestLoadFindsLiteralIncludes(t *testing.T) {
	dir := configuration(t,
		"templates/bad.tmpl", `{{if true}}{{include "gone.tmpl"}}{{end}}`,
		"templates/good.tmpl", "include \"/etc/nginx/mime.types\";\n{{/* include \"gone.tmpl\" */}}{{define \"local\"}}l{{end}}{{include `local`}}{{include \"p.tmpl\" 1}}",
		"templates/p.tmpl", "p{{.}}",
		"conf.d/bad.toml", declare("bad.tmpl", "/etc/a", ""),
		"conf.d/good.toml", declare("good.tmpl", "/etc/b", ""))
	set := mustLoad(t, dir)
	if len(set.Broken) != 1 || !strings.Contains(set.Broken[0].Err.Error(), "gone.tmpl") {
		t.Fatalf("broken: %v, want the one that includes gone.tmpl", set.Broken)
	}
	if got, want := render(t, set.Resources[0]), "include \"/etc/nginx/mime.types\";\nlp1"; got != want {
		t.Errorf("rendered %q, want %q", got, want)
	}
}

// Whatever place a function is called in, the call is found; the function would
// be missing when the template is executed.
func TestCallsAreFound(t *testing.T) {
	dir := configuration(t, "templates/a.tmpl",
		`{{$x := add 1 1}}{{if seq 1 2 | len}}{{range split "a,b" ","}}{{.}}{{end}}{{else if toLower "A"}}{{.}}{{end}}`+
			`{{(dict "a" (toUpper "b")).a}}{{cluster.Scope}}{{printf "%v" list}}{{with $y := mul 2 2}}{{$y}}{{end}}`+
			`{{template "t" (base "x/y")}}{{define "t"}}{{.}}{{reverse . | not}}{{end}}{{include "b.tmpl" | trim}}`,
		"templates/b.tmpl", `{{quote "q"}}`,
		"conf.d/a.toml", declare("a.tmpl", "/etc/a", ""))
	set := mustLoad(t, dir)
	if len(set.Broken) > 0 {
		t.Fatal(set.Broken)
	}
	got := set.Resources[0].source.calls
	want := map[string]bool{}
	for name := range strings.FieldsSeq("add seq len split toLower dict toUpper cluster printf list mul base reverse not include trim quote") {
		want[name] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// Keys are what they are: one with odd segments is never another one.
func TestRelativeKeepsKeysApart(t *testing.T) {
	for _, tt := range []struct {
		name, declaration string
		paths             []string
		see               map[string]string // key of the store to that of the template, "" for none
	}{
		{"prefix", `prefix = "/service"`, []string{"/service/"}, map[string]string{
			"/service/b/leader":       "/b/leader",
			"/service/a/../b/leader":  "/a/../b/leader",
			"/service/a/./leader":     "/a/./leader",
			"/service//b/leader":      "//b/leader",
			"/service/b//leader":      "/b//leader",
			"/service/../x/b/leader":  "/../x/b/leader",
			"/service":                "",
			"/service2/b/leader":      "",
			"service/b/leader":        "",
			"/other/../service/b/lea": "",
		}},
		{"keys below a prefix", "prefix = \"/service/\"\nkeys = [\"/b\"]", []string{"/service/"}, map[string]string{
			"/service/b":             "/b",
			"/service/b/leader":      "/b/leader",
			"/service/bb":            "",
			"/service/a/../b/leader": "",
			"/service//b/leader":     "",
		}},
		{"no prefix, keys that share a path", `keys = ["/s/a/leader", "/s/a/members/"]`, []string{"/s/a/"}, map[string]string{
			"/s/a/leader": "/s/a/leader", "/s/a/members/x": "/s/a/members/x", "/s/a/members": "", "/s/a/status": "",
		}},
		{"one key", `keys = ["/s/a"]`, []string{"/s/a", "/s/a/"}, map[string]string{"/s/a": "/s/a", "/s/a/x": "/s/a/x", "/s/ab": ""}},
		{"keys apart", `keys = ["/s/a", "/t/"]`, []string{"/s/a", "/s/a/", "/t/"}, map[string]string{"/t/x": "/t/x", "/t": ""}},
		{"keys that overlap", `keys = ["/s/a", "/s/a/x", "/s/a/", "/s/a"]`, []string{"/s/a", "/s/a/"}, map[string]string{"/s/a/x": "/s/a/x"}},
		{"everything", `keys = ["/"]`, []string{"/"}, map[string]string{"/x": "/x", "/a/../b": "/a/../b", "//x": "//x", "x": ""}},
		{"nothing", ``, nil, map[string]string{"/x": ""}},
		{"no keys", `prefix = "/x"` + "\nkeys = []", nil, map[string]string{"/x": "", "/x/y": ""}},
	} {
		res, err := read("x.toml", []byte("[template]\nsrc = \"a.tmpl\"\ndest = \"/etc/a\"\n"+tt.declaration), &Options{ConfDir: "/conf"})
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if diff := cmp.Diff(tt.paths, res.Paths); diff != "" {
			t.Errorf("%s: paths (-want +got):\n%s", tt.name, diff)
		}
		for key, want := range tt.see {
			got, ok := res.Relative(key)
			if got != want || ok != (want != "") {
				t.Errorf("%s: %q is seen as %q, %v; want %q", tt.name, key, got, ok, want)
			}
			if ok && res.Full(got) != key {
				t.Errorf("%s: %q is %q in full, want %q", tt.name, got, res.Full(got), key)
			}
		}
	}
}

// Commands are the shell's: only the two placeholders are ours.
func TestCommandsAreVerbatim(t *testing.T) {
	dir := configuration(t, "templates/a.tmpl", "x", "conf.d/a.toml",
		declare("a.tmpl", "/etc/a", `
check_cmd = "check {{.src}} {{ .dest }} {{.other}}"
reload_cmd = "kill -HUP $(docker inspect --format '{{.State.Pid}}' x) {{.dest}} {{.src}}"
mode = ""`))
	res := mustLoad(t, dir).Resources[0]
	if got, want := res.Check("/etc/.s"), "check /etc/.s /etc/a {{.other}}"; got != want {
		t.Errorf("check = %q, want %q", got, want)
	}
	if got, want := res.ReloadCmd, "kill -HUP $(docker inspect --format '{{.State.Pid}}' x) /etc/a /etc/a"; got != want {
		t.Errorf("reload = %q, want %q", got, want)
	}
	if res.Mode != install.Keep {
		t.Errorf("an empty mode is %o, want the default", res.Mode)
	}
}
