package tomlfile

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
)

type document struct {
	Template struct {
		Source   string         `toml:"src"`
		Dest     string         `toml:"dest"`
		CheckCmd string         `toml:"check_cmd"`
		Keys     []string       `toml:"keys"`
		UID      *int64         `toml:"uid"`
		Mode     *any           `toml:"mode"`
		Backup   bool           `toml:"backup"`
		Timeout  *time.Duration `toml:"timeout"`
		Interval time.Duration  `toml:"interval"`
		Ignored  string
	} `toml:"template"`
	Backend map[string]any `toml:"backend"`
}

func TestDecode(t *testing.T) {
	const data = `
[template]
src = "a.tmpl"
keys = ["/a", "/b"]
uid = 70
mode = "0640"
backup = true
timeout = "1m30s"
interval = 1.5

[backend]
nodes = ["http://a:2379"]
retries = 3
`
	var got document
	f, err := Decode("a.toml", []byte(data), &got)
	if err != nil {
		t.Fatal(err)
	}
	var want document
	uid, mode, timeout := int64(70), any("0640"), 90*time.Second
	want.Template.Source = "a.tmpl"
	want.Template.Keys = []string{"/a", "/b"}
	want.Template.UID = &uid
	want.Template.Mode = &mode
	want.Template.Backup = true
	want.Template.Timeout = &timeout
	want.Template.Interval = 1500 * time.Millisecond
	want.Backend = map[string]any{"nodes": []any{"http://a:2379"}, "retries": int64(3)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("decoded (-want +got):\n%s", diff)
	}
	if !f.IsDefined("template", "src") || f.IsDefined("template", "dest") || f.IsDefined() || f.IsDefined("template", "src", "x") {
		t.Error("IsDefined does not tell what the file defines")
	}
	if got := f.Value("backend", "retries"); got != int64(3) {
		t.Errorf("Value(backend, retries) = %v, want 3", got)
	}
}

func TestDecodeIntoMap(t *testing.T) {
	var got map[string]any
	if _, err := Decode("a.toml", []byte("a.b = 1\n"), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"a": map[string]any{"b": int64(1)}}, got); diff != "" {
		t.Errorf("decoded (-want +got):\n%s", diff)
	}
}

func TestErrors(t *testing.T) {
	tests := []struct {
		name, data string
		want       []string
	}{
		{"unknown key", "[template]\nsrc = \"a\"\n\nchek_cmd = \"x\"\n",
			[]string{`a.toml: line 4: unknown key "chek_cmd" (did you mean "check_cmd"?)`}},
		{"nothing near", "[template]\nqqqqqqqq = 1\n",
			[]string{`a.toml: line 2: unknown key "qqqqqqqq"`}},
		{"another spelling", "[template]\nCheck-CMD = \"x\"\n",
			[]string{`a.toml: line 2: unknown key "Check-CMD" (did you mean "check_cmd"?)`}},
		{"header forgotten", "src = \"a\"\n",
			[]string{`a.toml: line 1: unknown key "src" here (it belongs in [template])`}},
		{"unknown table, said once", "[templat]\nsrc = 1\ndest = 2\n",
			[]string{`a.toml: line 1: unknown key "templat" (did you mean "template"?)`}},
		{"wrong types, all of them, in order", `
[template]
src = 1
dest = ["a"]
keys = "a"
uid = "x"
backup = "yes"
timeout = true
`, []string{
			`a.toml: line 3: key "src" must be a string, in quotes`,
			`a.toml: line 4: key "dest" must be a string, in quotes`,
			`a.toml: line 5: key "keys" must be an array of strings`,
			`a.toml: line 6: key "uid" must be an integer, without quotes`,
			`a.toml: line 7: key "backup" must be true or false, without quotes`,
			`a.toml: line 8: key "timeout" must be a number of seconds, or a duration such as "1m30s"`,
		}},
		{"more types", "backend = 1\n[template]\nuid = 1.5\nkeys = [\"a\", 1]\ntimeout = \"soon\"\nsrc = 1979-05-27\n",
			[]string{
				`a.toml: line 1: key "backend" must be a table`,
				`a.toml: line 3: key "uid" must be an integer, without quotes`,
				`a.toml: line 4: key "keys" must be an array of strings`,
				`a.toml: line 5: key "timeout" must be a number of seconds, or a duration such as "1m30s"`,
				`a.toml: line 6: key "src" must be a string, in quotes`,
			}},
		{"endless durations", "[template]\ntimeout = nan\n", []string{`a.toml: line 2: key "timeout" must be a number of seconds, or a duration such as "1m30s"`}},
		{"a value instead of a table", "template = 1\n",
			[]string{`a.toml: line 1: key "template" must be a table`}},
		{"syntax", "[template]\nsrc = \"a\n", []string{`a.toml: line 2: strings cannot contain newlines`}},
		{"text without quotes", "[template]\n\nsrc = haproxy.tmpl\n",
			[]string{`a.toml: line 3: the value of "template.src" is not TOML (text needs quotes)`}},
		{"password without quotes", "password = hunter2\n",
			[]string{`a.toml: line 1: the value of "password" is not TOML (text needs quotes)`}},
		{"number as password", "password = 0123\n",
			[]string{`a.toml: line 1: the value of "password" is not TOML (text needs quotes)`}},
		{"key twice", "[template]\nsrc = \"a\"\nsrc = \"b\"\n",
			[]string{`a.toml: line 3: Key 'template.src' has already been defined.`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var v document
			f, err := Decode("a.toml", []byte(tt.data), &v)
			if err == nil {
				t.Fatal("no error")
			}
			if f == nil {
				t.Fatal("no File")
			}
			if diff := cmp.Diff(tt.want, strings.Split(err.Error(), "\n")); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRightPartIsKept(t *testing.T) {
	var v document
	f, err := Decode("a.toml", []byte("[template]\nsrc = \"a\"\ndest = 1\n"), &v)
	if err == nil || v.Template.Source != "a" || f.line("template", "src") != 2 {
		t.Errorf("err = %v, src = %q, line %d; want an error, and what was right", err, v.Template.Source, f.line("template", "src"))
	}
}

func TestErrorf(t *testing.T) {
	f, err := Decode("a.toml", []byte("\n[template]\nsrc = \"a\"\n"), &document{})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		keys []string
		want string
	}{
		{[]string{"template", "src"}, "a.toml: line 3: open x: file does not exist"},
		{[]string{"template", "dest"}, "a.toml: line 2: open x: file does not exist"},
		{[]string{"backend", "nodes"}, "a.toml: open x: file does not exist"},
		{nil, "a.toml: open x: file does not exist"},
	}
	for _, tt := range tests {
		err := f.Errorf(tt.keys, "open %s: %w", "x", fs.ErrNotExist)
		if err.Error() != tt.want || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Errorf(%q) = %v, want %s, wrapping fs.ErrNotExist", tt.keys, err, tt.want)
		}
	}
}

func TestLine(t *testing.T) {
	const data = `# src = "in a comment"
title = "x" # dest = 1
multi = """
src = "in a string" \"""
dest = 2"""""
literal = '''
[template]
src = 'no' '''
[template] # here
src = "a"
"quoted key" = 1
"caf\u00e9" = 1
'lit"eral' . sub = 2
keys = [
  "/a", # ] dest = 3
  "/b",
]
inline = { a = 1, b.c = "}", "d" = [ { e = 1 }, { f = 2 } ] }
date = 1979-05-27T07:32:00Z
dest = "d"

  [ other . "table.x" ]
  key = 1
[[list]]
n = 1
[[list]]
n = 2
m = 3
[template.sub]
x = 1
`
	want := []struct {
		line int
		keys []string
	}{
		{2, []string{"title"}},
		{3, []string{"multi"}},
		{6, []string{"literal"}},
		{9, []string{"template"}},
		{10, []string{"template", "src"}},
		{11, []string{"template", "quoted key"}},
		{12, []string{"template", "café"}},
		{13, []string{"template", `lit"eral`}},
		{13, []string{"template", `lit"eral`, "sub"}},
		{14, []string{"template", "keys"}},
		{18, []string{"template", "inline", "a"}},
		{18, []string{"template", "inline", "b", "c"}},
		{19, []string{"template", "date"}},
		{20, []string{"template", "dest"}},
		{22, []string{"other"}},
		{22, []string{"other", "table.x"}},
		{23, []string{"other", "table.x", "key"}},
		{30, []string{"template", "sub", "x"}},
		{0, []string{"dest"}},
		{0, []string{"template", "nothing"}},
		{0, nil},
	}
	for _, eol := range []string{"\n", "\r\n"} {
		var v map[string]any
		f, err := Decode("a.toml", []byte(strings.ReplaceAll(data, "\n", eol)), &v)
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range want {
			if got := f.line(tt.keys...); got != tt.line {
				t.Errorf("with %q: line(%q) = %d, want %d", eol, tt.keys, got, tt.line)
			}
		}
	}
}

// FuzzDecode checks that nothing panics, and that in every file that parses
// each key has a line, on which its name can be read.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		"", "a = 1", "[a.b]\nc = \"\"\"\nx = 1\n\"\"\"\nd = 2\n", "a = { b = [ { c = '}' } ], d = 1 } # e = 2\n",
		"[[a]]\nb = 'x'\n[[a]]\nb = 1\n", "\"a\\u0020b\" = 1\n'c.d'.e = 2\n", "a = [ # ]\n 1,\n]\nb = 1979-05-27\n",
		"\xef\xbb\xbfa = 1", "a.b.c = true\na.b.d = inf\n", "x = [\"\"\"a\"\"\"\"\", '''b''']\ny = 1\n", "[template]\nsrc = 1\n",
		"a = {\n b = 1,\n # c = 2\n d = 3 }\ne = 1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data string) {
		var typed document
		_, typedErr := Decode("a.toml", []byte(data), &typed)
		if typedErr != nil && !strings.HasPrefix(typedErr.Error(), "a.toml: ") {
			t.Errorf("error %q does not begin with the file", typedErr)
		}

		var tree map[string]any
		file, err := Decode("a.toml", []byte(data), &tree)
		if err != nil {
			return
		}
		var again map[string]any
		meta, err := toml.Decode(data, &again)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(data, "\n")
		for _, key := range meta.Keys() {
			line := file.line(key...)
			if line == 0 && inArray(tree, key) {
				continue
			}
			if line < 1 || line > len(lines) {
				t.Fatalf("key %q has line %d of %d", key, line, len(lines))
			}
			if name := key[len(key)-1]; isBareWord(name) && !strings.Contains(lines[line-1], name) && !strings.Contains(lines[line-1], `\`) {
				t.Fatalf("key %q is not in its line %d: %q", key, line, lines[line-1])
			}
		}
	})
}

// inArray tells whether the way to a key leads through an array.
func inArray(tree map[string]any, key toml.Key) bool {
	var at any = tree
	for _, part := range key {
		table, ok := at.(map[string]any)
		if !ok {
			return true
		}
		at = table[part]
	}
	return false
}

var isBareWord = regexp.MustCompile(`^[A-Za-z0-9_-]+$`).MatchString

func ExampleDecode() {
	var resource struct {
		Template struct {
			Dest     string `toml:"dest"`
			CheckCmd string `toml:"check_cmd"`
		} `toml:"template"`
	}
	_, err := Decode("conf.d/a.toml", []byte("[template]\ndest = 1\nchek_cmd = \"true\"\n"), &resource)
	fmt.Println(err)
	// Output:
	// conf.d/a.toml: line 2: key "dest" must be a string, in quotes
	// conf.d/a.toml: line 3: unknown key "chek_cmd" (did you mean "check_cmd"?)
}
