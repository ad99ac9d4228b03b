package funcs

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"text/template"
	"time"

	"pc4patroni/funcs/patroni"
)

// page is the reference of the functions. Its examples are blocks of code
// called template, each followed by one called output or error, and the rows of
// tables with the columns "example" and "prints".
const page = "../docs/template-functions.md"

// example is one of them, with its line in the page.
type example struct {
	line      int
	prefix    string
	text      string
	want      string
	wantError bool
}

// readPage returns the examples, the files that some of them include, and the
// keys that all of them are about.
func readPage(t *testing.T) (text string, examples []example, files, keys map[string]string) {
	t.Helper()
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	files, keys = map[string]string{}, map[string]string{}
	lines := strings.Split(string(raw), "\n")
	var pending *example
	var columns []string
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		kind, isFence := strings.CutPrefix(line, "```")
		if !isFence {
			columns = tableRow(t, i+1, line, columns, &examples)
			continue
		}
		start := i + 1
		for i++; lines[i] != "```"; i++ {
		}
		body := strings.Join(lines[start:i], "\n")
		kind, option, _ := strings.Cut(kind, " ")
		name, value, _ := strings.Cut(option, "=")
		switch {
		case kind == "template" && name == "file":
			files[value] = body + "\n"
		case kind == "template":
			if pending != nil {
				t.Errorf("line %d: an example without its output", pending.line)
			}
			pending = &example{line: start, text: body, prefix: value}
		case kind == "output" || kind == "error":
			if pending == nil {
				t.Fatalf("line %d: output without an example", start)
			}
			pending.want, pending.wantError = body, kind == "error"
			examples = append(examples, *pending)
			pending = nil
		case kind == "json":
			if err := json.Unmarshal([]byte(body), &keys); err != nil {
				t.Fatalf("line %d: %v", start, err)
			}
		default:
			t.Errorf("line %d: a block of kind %q", start, kind)
		}
	}
	if pending != nil {
		t.Errorf("line %d: an example without its output", pending.line)
	}
	return string(raw), examples, files, keys
}

var bar = regexp.MustCompile(`(?:[^\\])\|`)

// tableRow adds the example in a line of a table, if it is one, and returns
// the columns of the table for the next line.
func tableRow(t *testing.T, number int, line string, columns []string, examples *[]example) []string {
	if !strings.HasPrefix(line, "|") {
		return nil
	}
	line = bar.ReplaceAllStringFunc(line, func(s string) string { return s[:1] + "\x00" })
	cells := strings.Split(strings.Trim(line[1:], "\x00"), "\x00")
	for i, cell := range cells {
		cells[i] = strings.ReplaceAll(strings.TrimSpace(cell), `\|`, "|")
	}
	if columns == nil {
		return cells
	}
	if len(cells) != len(columns) {
		t.Fatalf("line %d: %d cells below %d columns: %q", number, len(cells), len(columns), cells)
	}
	found := example{line: number}
	for i, column := range columns {
		code := strings.TrimSuffix(strings.TrimPrefix(cells[i], "`"), "`")
		switch column {
		case "example":
			found.text = code
		case "prints":
			found.want = code
		}
	}
	if strings.Contains(found.text, "{{") {
		*examples = append(*examples, found)
	}
	return columns
}

// documentedHost answers what the page says that the DNS does.
type documentedHost struct{}

func (documentedHost) LookupIP(context.Context, string, string) ([]net.IP, error) {
	return []net.IP{net.ParseIP("2001:db8::1"), net.ParseIP("192.0.2.1")}, nil
}

func (documentedHost) LookupSRV(context.Context, string, string, string) (string, []*net.SRV, error) {
	return "", []*net.SRV{{Target: "etcd2.example.com.", Port: 2379}, {Target: "etcd1.example.com.", Port: 2379}}, nil
}

// pageFuncs are the functions on the host of the page, for a prefix.
func pageFuncs(keys, files map[string]string, prefix string) template.FuncMap {
	env := &Env{
		Store:    NewStore(),
		Prefix:   prefix,
		Now:      func() time.Time { return time.Date(2026, 5, 4, 9, 12, 33, 0, time.UTC) },
		Resolver: documentedHost{},
		Getenv:   func(name string) string { return map[string]string{"HOST_IP": "192.0.2.7"}[name] },
	}
	for key, value := range keys {
		if rest, ok := strings.CutPrefix(key, prefix+"/"); ok {
			env.Store.Set("/"+rest, value)
		}
	}
	functions := Map(env)
	functions["include"] = func(name string, data any) (string, error) {
		parsed, err := template.New(name).Funcs(functions).Parse(files[name])
		if err != nil {
			return "", err
		}
		return run(parsed, data)
	}
	return functions
}

// TestPage renders every example of the page.
func TestPage(t *testing.T) {
	_, examples, files, keys := readPage(t)
	if len(examples) < 100 {
		t.Errorf("only %d examples found: has the page another form?", len(examples))
	}
	for _, e := range examples {
		if e.prefix == "" {
			e.prefix = "/service/batman"
		}
		parsed, err := template.New("page").Funcs(pageFuncs(keys, files, e.prefix)).Parse(e.text)
		if err != nil {
			t.Errorf("%s:%d: %v", page, e.line, err)
			continue
		}
		got, err := run(parsed, nil)
		switch {
		case e.wantError && (err == nil || !strings.HasSuffix(err.Error(), ": "+e.want)):
			t.Errorf("%s:%d: %s\n got error %v\nwant error %s", page, e.line, e.text, err, e.want)
		case !e.wantError && err != nil:
			t.Errorf("%s:%d: %v", page, e.line, err)
		case !e.wantError && got != e.want:
			t.Errorf("%s:%d: %s\n got %q\nwant %q", page, e.line, e.text, got, e.want)
		}
	}
}

// TestPageIsComplete finds what a template can use and the page does not name.
func TestPageIsComplete(t *testing.T) {
	text, _, _, _ := readPage(t)
	mentioned := func(name string) bool {
		return regexp.MustCompile("`" + regexp.QuoteMeta(name) + `(?: [^` + "`" + `]*)?` + "`").MatchString(text)
	}
	names := functionNames()
	names = append(names, "include", "and", "call", "html", "index", "js", "len", "not", "or", "print", "println", "slice", "urlquery")
	for list := range leftOut {
		names = append(names, strings.Fields(list)...)
	}
	for _, name := range names {
		if !mentioned(name) {
			t.Errorf("the function %s is not on the page", name)
		}
	}
	for _, value := range []any{
		&patroni.Cluster{}, &patroni.Member{}, &patroni.Promotion{}, &patroni.Failover{}, &patroni.SettingChange{}, &net.SRV{},
	} {
		typ := reflect.TypeOf(value)
		for i := range typ.NumMethod() {
			switch name := typ.Method(i).Name; name {
			case "String", "MarshalJSON":
			default:
				if !mentioned("." + name) {
					t.Errorf("the method %s of %s is not on the page", name, typ)
				}
			}
		}
		for _, field := range reflect.VisibleFields(typ.Elem()) {
			if field.IsExported() && !mentioned("."+field.Name) {
				t.Errorf("the field %s of %s is not on the page", field.Name, typ)
			}
		}
	}
	for _, m := range regexp.MustCompile(`\]\(#([^)]*)\)`).FindAllStringSubmatch(text, -1) {
		if !strings.Contains(anchors(text), " "+m[1]+" ") {
			t.Errorf("a link leads to #%s, which is no heading", m[1])
		}
	}
}

// anchors returns the headings of the page as links write them.
func anchors(text string) string {
	var b strings.Builder
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		anchor := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(m[1]), "")
		fmt.Fprintf(&b, " %s ", strings.ReplaceAll(anchor, " ", "-"))
	}
	return b.String()
}
