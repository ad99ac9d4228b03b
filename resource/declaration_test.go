package resource

import (
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pc4patroni/resource/install"
)

// A bad resource file, and exactly what is said about it.
func TestReadRejects(t *testing.T) {
	const top = "[template]\nsrc = \"a.tmpl\"\ndest = \"/etc/a\"\n"
	const base = top + "prefix = \"/app\"\n"
	tests := []struct{ name, text, want string }{
		{"empty", "", `x.toml: there is no [template] table: a resource file starts with one`},
		{"old form", "src = \"a.tmpl\"\n", `x.toml: line 1: unknown key "src" here (it belongs in [template])`},
		{"nothing but a table", "[template]\n", "x.toml: line 1: key \"dest\" is missing: name the file to write\n" +
			"x.toml: line 1: key \"src\" is missing: name the template below /conf/templates"},
		{"typo", base + "relaod_cmd = \"true\"\n", `x.toml: line 5: unknown key "relaod_cmd" (did you mean "reload_cmd"?)`},
		{"wrong types", base + "allow_empty = \"yes\"\nkeys = \"/\"\nmode = 0o644\n",
			"x.toml: line 5: key \"allow_empty\" must be true or false, without quotes\n" +
				"x.toml: line 6: key \"keys\" must be an array of strings\n" +
				"x.toml: line 7: mode must be a string of octal digits, for example mode = \"0640\""},
		{"mode", base + "mode = \"0888\"\n", `x.toml: line 5: mode "0888" is not octal: write "0640", for example`},
		{"relative dest", "[template]\nsrc = \"a.tmpl\"\nprefix = \"/app\"\ndest = \"etc/a\"\n", `x.toml: line 4: dest "etc/a" is not an absolute path`},
		{"directory", "[template]\nsrc = \"a.tmpl\"\nprefix = \"/app\"\ndest = \"/etc/a/\"\n", `x.toml: line 4: dest "/etc/a/" names a directory: name the file in it`},
		{"owner", base + "owner = \"nobody-has-this-name\"\n", `x.toml: line 5: owner "nobody-has-this-name": there is no such user on this host`},
		{"group", base + "group = \"nobody-has-this-name\"\n", `x.toml: line 5: group "nobody-has-this-name": there is no such group on this host`},
		{"owner against uid", base + "owner = \"root\"\nuid = 7\n", `x.toml: line 5: owner "root" is number 0, but uid says 7: set only one of the two`},
		{"uid", base + "uid = -1\n", `x.toml: line 5: uid -1 is out of range`},
		{"timeout", base + "check_cmd_timeout = 0\n", `x.toml: line 5: key "check_cmd_timeout" must be above zero: without a limit a command that hangs blocks its unit forever`},
		{"interval", base + "min_reload_interval = \"-1s\"\n", `x.toml: line 5: key "min_reload_interval" must not be negative`},
		{"dots", base + "keys = [\"/../other\"]\n", `x.toml: line 5: key "/../other" leaves the prefix: write it without ..`},
		{"delimiter", base + "left_delimiter = \"\"\n", `x.toml: line 5: key "left_delimiter" is empty: remove it to use {{`},
		{"delimiter of a wrong type", base + "left_delimiter = 1\n", `x.toml: line 5: key "left_delimiter" must be a string, in quotes`},
		{"timeout of a wrong type", base + "check_cmd_timeout = true\n", `x.toml: line 5: key "check_cmd_timeout" must be a number of seconds, or a duration such as "1m30s"`},
		{"backend", base + "[backend]\nnodes = [\"a\"]\n", `x.toml: line 5: a [backend] table cannot be used here`},
	}
	for _, tt := range tests {
		_, err := read("x.toml", []byte(tt.text), &Options{ConfDir: "/conf"})
		if err == nil {
			t.Errorf("%s: no error", tt.name)
			continue
		}
		if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestReadDefaultsAndValues(t *testing.T) {
	opts := &Options{ConfDir: "/conf"}
	res, err := read("/conf/conf.d/pg.toml", []byte("[template]\nprefix = \"service/batman\"\nsrc = \"a.tmpl\"\ndest = \"/etc/a\"\n"), opts)
	if err != nil {
		t.Fatal(err)
	}
	if res.Name != "pg" || res.Prefix != "/service/batman" || res.CheckTimeout != 30*time.Second || res.ReloadTimeout != time.Minute ||
		res.Mode != install.Keep || res.UID != install.Keep || res.GID != install.Keep || res.left != "{{" || res.right != "}}" {
		t.Errorf("defaults: %+v", res)
	}
	if diff := cmp.Diff([]string{"/service/batman/"}, res.Paths); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}

	text := `[template]
prefix = "/service/batman/"
keys = ["/members/", "/leader", "members/db1"]
src = "a.tmpl"
dest = "/etc/a"
owner = "root"
group = "0"
mode = "0640"
check_cmd = "test {{.src}} {{.dest}}"
reload_cmd = "reload {{ .dest }}"
check_cmd_timeout = 5
reload_cmd_timeout = "1m30s"
min_reload_interval = "10s"
`
	res, err = read("/conf/conf.d/pg.toml", []byte(text), opts)
	if err != nil {
		t.Fatal(err)
	}
	if res.UID != 0 || res.GID != 0 || res.Mode != 0o640 || res.ReloadCmd != "reload /etc/a" ||
		res.CheckTimeout != 5*time.Second || res.ReloadTimeout != 90*time.Second || res.MinReloadInterval != 10*time.Second {
		t.Errorf("values: %+v", res)
	}
	if diff := cmp.Diff([]string{"/service/batman/leader", "/service/batman/members/"}, res.Keys); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"/service/batman/"}, res.Paths); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
	if got, want := res.Check("/etc/.staged-a"), "test /etc/.staged-a /etc/a"; got != want {
		t.Errorf("check = %q, want %q", got, want)
	}

	opts.Prefix = "/service/joker"
	res, err = read("/conf/conf.d/pg.toml", []byte(text), opts)
	if err != nil {
		t.Fatal(err)
	}
	if res.Prefix != "/service/joker" || res.Keys[0] != "/service/joker/leader" {
		t.Errorf("the prefix of the options does not replace the resource's: %v", res.Paths)
	}
}

func TestLoadWithoutResources(t *testing.T) {
	dir := t.TempDir()
	for _, want := range []string{"the folder DIR/conf.d does not exist: create it, or name another one with -confdir", "there is no file *.toml in DIR/conf.d"} {
		_, err := Load(Options{ConfDir: dir})
		if !errors.Is(err, ErrNoResources) || !strings.HasSuffix(strings.ReplaceAll(err.Error(), dir, "DIR"), want) {
			t.Errorf("Load = %v, want %s", err, want)
		}
		if err := os.MkdirAll(dir+"/conf.d", 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// Reading never panics, and what it accepts can be applied.
func FuzzRead(f *testing.F) {
	f.Add("[template]\nprefix = \"/app\"\nsrc = \"a.tmpl\"\ndest = \"/etc/a\"\n")
	f.Add("[template]\nkeys = [\"/\"]\nsrc = \"a.tmpl\"\ndest = \"/etc/a\"\ncheck_cmd = \"{{.src}}\"\nmode = \"0644\"\nuid = 0\n")
	f.Add("[template]\nprefix = 1\nkeys = [1]\nsrc = {}\n[backend]\nnodes = []\n[[x]]\n")
	f.Fuzz(func(t *testing.T, text string) {
		res, err := read("x.toml", []byte(text), &Options{ConfDir: "/conf"})
		if err != nil {
			if strings.TrimSpace(err.Error()) == "" {
				t.Error("an error without words")
			}
			return
		}
		if !strings.HasPrefix(res.Prefix, "/") || !strings.HasPrefix(res.Dest, "/") || res.Src == "" {
			t.Errorf("accepted as %+v", res)
		}
		for _, path := range res.Paths {
			if !strings.HasPrefix(path, "/") || res.Prefix != "/" && !strings.HasPrefix(path, res.Prefix) {
				t.Errorf("path %q is not below the prefix %q", path, res.Prefix)
			}
		}
	})
}

// The reference page names every key of a resource file.
func TestKeysAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/resource-files.md")
	if err != nil {
		t.Fatal(err)
	}
	table := reflect.TypeFor[declaration]()
	for i := range table.NumField() {
		key := table.Field(i).Tag.Get("toml")
		if unsupported[key] != "" {
			continue // docs/migration.md has it
		}
		if !strings.Contains(string(page), "| `"+key+"`") && !strings.Contains(string(page), ", `"+key+"` |") {
			t.Errorf("docs/resource-files.md has no row for %q", key)
		}
	}
}
