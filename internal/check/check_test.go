package check

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pc4patroni/backends"
	"pc4patroni/resource"
)

// site is a folder with one resource, whose file begins with a prefix, and its template.
func site(t *testing.T, more, template string) (dir string, set *resource.Set) {
	t.Helper()
	dir = t.TempDir()
	write := func(name, content string) {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(more, "dest") {
		more += "\ndest = \"" + filepath.Join(dir, "a.conf") + "\""
	}
	if !strings.Contains(more, "prefix") {
		more += "\nprefix = \"/service/batman\""
	}
	write("conf.d/a.toml", "[template]\nsrc = \"a.tmpl\"\n"+more+"\n")
	write("templates/a.tmpl", template)
	set, err := resource.Load(resource.Options{ConfDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Broken) > 0 {
		t.Fatal(set.Broken[0].Err)
	}
	return dir, set
}

// found returns the problems of a site, a line each, with the folder left out.
func found(t *testing.T, dir string, set *resource.Set) []string {
	t.Helper()
	var lines []string
	for _, p := range Set(t.Context(), set, Options{
		TemplateDir: filepath.Join(dir, "templates"),
		Open:        func(string) (backends.Backend, error) { return nil, errors.New("asked for a backend") },
		Getenv:      func(string) string { return "" },
	}) {
		if p.Resource != "" { // the backend's is what Open says
			lines = append(lines, strings.ReplaceAll(p.String(), dir+"/", ""))
		}
	}
	return lines
}

// TestMistakes: what no change of a cluster can mend is an error, whatever state of a
// cluster it takes to get there. What depends on the keys is none.
func TestMistakes(t *testing.T) {
	tests := []struct {
		name, more, template string
		want                 []string
	}{
		{"all is well", "", "{{primary.Host}}{{range replicas}}{{.Addr}}{{end}}", nil},
		{"of the primary", "", "{{primary.Hostt}}", []string{"templates/a.tmpl:1:3: error: at <primary>: a member has no .Hostt (did you mean .Host?)"}},
		{"of the cluster", "", "\n{{cluster.Leeder}}", []string{"templates/a.tmpl:2:3: error: at <cluster>: a cluster has no .Leeder (did you mean .Leader?)"}},
		{"only without a leader", "", "{{if not cluster.Leader}}{{range replicas}}{{.Adr}}{{end}}{{end}}",
			[]string{"templates/a.tmpl:1:46: error: at <.Adr>: a member has no .Adr (did you mean .Addr?)"}},
		{"only while paused", "", "{{if cluster.Paused}}{{cluster.Scop}}{{end}}",
			[]string{"templates/a.tmpl:1:24: error: at <cluster>: a cluster has no .Scop (did you mean .Scope?)"}},
		{"only with synchronous replicas", "", "{{range cluster.SyncStandbys}}{{.Ports}}{{end}}",
			[]string{"templates/a.tmpl:1:33: error: at <.Ports>: a member has no .Ports (did you mean .Port?)"}},
		{"only in a standby cluster", "", "{{if cluster.StandbyLeader}}{{range members}}{{.Rolle}}{{end}}{{end}}",
			[]string{"templates/a.tmpl:1:48: error: at <.Rolle>: a member has no .Rolle (did you mean .Role?)"}},
		{"of a namespace", `prefix = "/service"`, "{{range clusters}}{{.Scop}}{{end}}",
			[]string{"templates/a.tmpl:1:21: error: at <.Scop>: a cluster has no .Scop (did you mean .Scope?)"}},
		{"of a namespace, by path", `prefix = "/service"`, "{{(cluster \"batman\").Scop}}",
			[]string{"templates/a.tmpl:1:12: error: at <\"batman\">: a cluster has no .Scop (did you mean .Scope?)"}},
		{"a key that is the site's", "", "{{getv \"/mine\"}}", nil},
		{"a template that gives up", "", "{{fail \"not here\"}}", nil},
		{"without a prefix", "prefix = \"/\"\nkeys = [\"/service/batman\"]", "{{(cluster \"/service/batman\").Leeder}}",
			[]string{"templates/a.tmpl:1:12: error: at <\"/service/batman\">: a cluster has no .Leeder (did you mean .Leader?)"}},
		{"Jinja", "", "a\n{%- if master %}{{primary.Host}}{% endif %}",
			[]string{`templates/a.tmpl:2: warning: "{%- if" is Jinja and is copied as it stands (docs/migration.md shows what to write)`}},
		{"a key left out", `keys = ["/leader", "/members/"]`, "{{primary.Host}}{{if cluster.Paused}}paused{{end}}",
			[]string{`conf.d/a.toml: warning: the template asks for /config, which keys leaves out: add "/config"`}},
		{"enough keys", `keys = ["/leader", "/members/"]`, "{{primary.Host}}", nil},
		{"a check that sees nothing", `check_cmd = "true"`, "{{primary.Host}}",
			[]string{"conf.d/a.toml: warning: check_cmd does not mention {{.src}}, so it does not see the new file before it is installed"}},
		{"no directory", `dest = "/none/a.conf"`, "{{primary.Host}}",
			[]string{"conf.d/a.toml: warning: on this host, dest cannot be replaced: the directory /none does not exist: create it, or set create_dest_dirs = true"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir, set := site(t, test.more, test.template)
			if diff := cmp.Diff(test.want, found(t, dir, set)); diff != "" {
				t.Errorf("want (-), got (+):\n%s", diff)
			}
		})
	}
}

// TestSwappedArguments: confd and sprig differ in the order of arguments. A literal in the
// place of the text gives a wrong order away, in a call as well as in a pipeline.
func TestSwappedArguments(t *testing.T) {
	right := []string{
		`{{contains .X "db"}}`, `{{"db1" | contains .X}}`, `{{contains "db1,db2" .X}}`, `{{contains "db1" "db"}}`,
		`{{split .X ","}}`, `{{split "a,b" ","}}`, `{{trimSuffix .X ".conf"}}`, `{{replace .X "a" "b" -1}}`, `{{replace "a-X" "X" .X -1}}`,
		`{{splitList "," .X}}`, `{{.X | splitList ","}}`, `{{"db1 db2" | splitList .X}}`, `{{.X | trimPrefix "db"}}`, `{{trimAll "/" .X}}`,
		`{{hasPrefix "db" .X}}`, `{{.X | hasSuffix "db"}}`, `{{hasPrefix .X .X}}`, `{{regexMatch "^db" .X}}`, `{{.X | default "db"}}`, `{{default .X .X}}`,
		`{{join .X ","}}`, `{{join "," .X}}`, `{{.X | join ","}}`, `{{regexReplaceAll "a" .X "b"}}`,
	}
	wrong := map[string]string{
		`{{contains "db" .X}}`:                  `contains TEXT "part"`,
		`{{.X | contains "db"}}`:                `contains TEXT "part"`,
		`{{if contains ":" (print .X)}}{{end}}`: `contains TEXT "part"`,
		`{{split "," .X}}`:                      `split TEXT ","`,
		`{{.X | split ","}}`:                    `split TEXT ","`,
		`{{.X | trimSuffix ".conf"}}`:           `trimSuffix TEXT ".conf"`,
		`{{.X | replace "a" "b"}}`:              `replace TEXT "old" "new" -1`,
		`{{splitList .X ","}}`:                  `splitList "," TEXT`,
		`{{trimPrefix .X "db"}}`:                `trimPrefix "www." TEXT`,
		`{{trimAll .X "/"}}`:                    `trimAll "/" TEXT`,
		`{{hasPrefix .X "db"}}`:                 `hasPrefix "db" TEXT`,
		`{{hasSuffix .X "db" | not}}`:           `hasSuffix ".conf" TEXT`,
		`{{regexMatch .X "^db"}}`:               `regexMatch "^db" TEXT`,
		`{{default .X "db"}}`:                   `default "value" TEXT`,
	}
	check := func(call, want string) {
		dir, set := site(t, "", "\n{{with $data := dict \"X\" cluster.Scope}}"+call+"{{end}}")
		var warned []string
		for _, line := range found(t, dir, set) {
			if strings.Contains(line, "warning") {
				warned = append(warned, line)
			}
		}
		if want == "" && len(warned) > 0 {
			t.Errorf("%s is right: %q", call, warned)
		}
		if want != "" && (len(warned) != 1 || !strings.HasPrefix(warned[0], "templates/a.tmpl:2: warning: ") || !strings.Contains(warned[0], want)) {
			t.Errorf("%s: %q, want one warning that names %s", call, warned, want)
		}
	}
	for _, call := range right {
		check(call, "")
	}
	for call, usage := range wrong {
		check(call, usage)
	}
	for _, dir := range []string{"../..", "../e2e/testdata/confd"} {
		set, err := resource.Load(resource.Options{ConfDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if len(set.Resources) == 0 {
			t.Errorf("no resources in %s", dir)
		}
		for _, res := range set.Resources {
			if warnings := res.Warnings(false); len(warnings) > 0 {
				t.Errorf("a false alarm: %q", warnings)
			}
		}
	}
}

// TestOthersMayWrite warns of a dest that every user can change.
func TestOthersMayWrite(t *testing.T) {
	dir, set := site(t, "", "{{primary.Host}}")
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	want := []string{"conf.d/a.toml: warning: every user may replace files in " + dir + ": chmod o-w " + dir}
	if diff := cmp.Diff(want, found(t, dir, set)); diff != "" {
		t.Errorf("a directory, want (-), got (+):\n%s", diff)
	}
	dest := filepath.Join(dir, "a.conf")
	if err := errors.Join(os.Chmod(dir, os.ModeSticky|0o777), os.WriteFile(dest, nil, 0o600), os.Chmod(dest, 0o666)); err != nil {
		t.Fatal(err)
	}
	want = []string{"conf.d/a.toml: warning: every user may write a.conf: set mode, for example to \"0644\""}
	if diff := cmp.Diff(want, found(t, dir, set)); diff != "" {
		t.Errorf("a file in a directory with the sticky bit, want (-), got (+):\n%s", diff)
	}
}

// TestSamplesHaveNoErrors: a false alarm would make -check useless.
func TestSamplesHaveNoErrors(t *testing.T) {
	set, err := resource.Load(resource.Options{ConfDir: "../.."})
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Resources) < 10 {
		t.Fatalf("%d samples", len(set.Resources))
	}
	for _, res := range set.Resources {
		r := newRenderer(res, func(string) string { return "" })
		for _, problem := range r.mistakes() {
			t.Errorf("%s: %s", res.File, problem)
		}
		for _, key := range r.missingKeys() {
			t.Errorf("%s: key %s is said to be missing", res.File, key)
		}
		works := false
		for _, a := range r.attempts {
			works = works || a.err == nil
		}
		if !works && !strings.Contains(res.Prefix, "pgbouncer") {
			t.Errorf("%s renders with none of the built-in clusters", res.File)
		}
	}
}
