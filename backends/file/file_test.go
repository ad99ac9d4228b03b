package file

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"pc4patroni/backends"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestParse(t *testing.T) {
	want := map[string]string{"/service/batman/leader": "db1", "/service/batman/initialize": "7512345678901234567"}
	tests := []struct {
		name, text string
		want       map[string]string
	}{
		{"json", `{"/service/batman/leader": "db1", "/service/batman/initialize": "7512345678901234567"}`, want},
		{"json with levels", `{"service": {"batman": {"leader": "db1", "/initialize": 7512345678901234567}}}`, want},
		{"byte order mark", "\xef\xbb\xbf" + `{"/service/batman": {"leader": "db1", "initialize": 7512345678901234567}}`, want},
		{"toml", "'/service/batman/leader' = 'db1'\n'/service/batman/initialize' = 7512345678901234567\n", want},
		{"toml with tables", "# a comment\n['/service/batman']\nleader = 'db1'\ninitialize = '7512345678901234567'\n", want},
		{"etcdctl", `{"header":{"cluster_id":14841639068965178418,"member_id":1,"revision":9,"raft_term":2},"kvs":[` +
			`{"key":"` + b64("/service/batman/leader") + `","create_revision":5,"mod_revision":5,"version":1,"value":"` + b64("db1") + `","lease":7587886},` +
			`{"key":"` + b64("/service/batman/initialize") + `","create_revision":2,"mod_revision":2,"version":1,"value":"` + b64("7512345678901234567") + `"}],"count":2}`, want},
		{"etcdctl without keys", `{"header":{"cluster_id":1,"revision":9}}`, map[string]string{}},
		{"empty value", `{"/a": ""}`, map[string]string{"/a": ""}},
		{"no keys", `{}`, map[string]string{}},
		{"scalars", `{"/f": 1.50, "/t": true, "/e": 2592e3}`, map[string]string{"/f": "1.50", "/t": "true", "/e": "2592e3"}},
	}
	for _, tt := range tests {
		got, err := Parse("x", []byte(tt.text))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestParseRejects(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"empty", " \n", "x: the file is empty: a snapshot without keys is {}"},
		{"syntax", "{\n\"/a\": \"secret\",\n\"/b\" 1}", "x: line 3, column 6: not JSON: invalid character '1' after object key"},
		{"cut", "{\n\"/a\": \"secret\",\n", "x: line 2, column 16: not JSON: unexpected end of JSON input"},
		{"two", "{}\n{}\n", "x: line 2, column 1: not JSON: invalid character '{' after top-level value"},
		{"array", "[\"secret\"]", "x: line 1: a snapshot is an object of keys and values, not an array"},
		{"values", `{"/a": null, "/b": ["secret"], "/c": "fine"}`,
			"x: line 1: key \"/a\": the value is null: write it as a string\nx: line 1: key \"/b\": the value is an array: write it as a string"},
		{"twice", "{\"/a\": \"1\",\n\"a\": \"2\"}", `x: line 2: key "/a" is there twice: remove one`},
		{"twice by levels", "{\"/a\": {\"b\": \"1\"},\n\"/a/b\": \"2\"}", `x: line 2: key "/a/b" is there twice: remove one`},
		{"twice in TOML", "'/a/b' = '1'\n['/a']\nb = '2'\n", `x: key "/a/b" is there twice: remove one`},
		{"no name", `{"": "1"}`, `x: line 1: a key has no name`},
		{"nested array", `{"/a": [[{"x": [1]}], 2], "/b": null}`,
			"x: line 1: key \"/a\": the value is an array: write it as a string\nx: line 1: key \"/b\": the value is null: write it as a string"},
		{"not UTF-8", "{\n\"/a\": \"secret\xff\"}", "x: line 2: not UTF-8: take the keys with etcdctl get --prefix -w json, which encodes such values"},
		{"date", "'/a' = 2026-01-01\n", "x: key \"/a\": the value is a date: write it as a string"},
		{"neither", "a\nsecret words\n", "x: line 1, column 2: neither JSON nor TOML (keys and text need quotes)"},
		{"syntax further down", "{\n\"/a\": {\"b\": \"secret\"},\n\"/b\": tru}", "x: line 3, column 10: not JSON: invalid character '}' in literal true (expecting 'e')"},
		{"part", `{"header":{"revision":9},"kvs":[],"more":true}`, "x: etcdctl printed only some of the keys: run it without --limit"},
		{"key", `{"header":{"revision":9},"kvs":[{"key":"?","value":""}]}`, "x: not what etcdctl get -w json prints: kvs must be a list of keys and values in base64"},
		{"value", `{"header":{"revision":9},"kvs":[{"key":"` + b64("/a") + `","value":"secret!"}]}`, "x: not what etcdctl get -w json prints: kvs must be a list of keys and values in base64"},
	}
	for _, tt := range tests {
		_, err := Parse("x", []byte(tt.text))
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s: err = %v\nwant %s", tt.name, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error shows a value: %v", tt.name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"/a": "1", "b": {"c": 2}}`))
	f.Add([]byte("'/a' = 'x'\n[b]\nc = true\n"))
	f.Add([]byte(`{"header":{"revision":1},"kvs":[{"key":"L2E=","value":"MQ=="}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		values, err := Parse("x", data)
		if err != nil {
			return
		}
		// What -dump writes of them reads back the same.
		for key, value := range values {
			if !utf8.ValidString(key) || !utf8.ValidString(value) || !strings.HasPrefix(key, "/") {
				return
			}
		}
		dump, err := json.Marshal(values)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Parse("dump", dump)
		if err != nil {
			t.Fatalf("the dump cannot be read: %v\n%s", err, dump)
		}
		if diff := cmp.Diff(values, back); diff != "" {
			t.Fatalf("-want +got:\n%s\n%s", diff, dump)
		}
	})
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func newClient(t *testing.T, files ...string) *Client {
	t.Helper()
	c, err := New(Config{Files: files})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "1.json"), filepath.Join(dir, "2.toml")
	write(t, one, `{"/app/a": "1", "/app/b": "1", "/app2/a": "1"}`)
	write(t, two, "'/app/b' = '2'\n")
	c := newClient(t, one, two)
	got, err := c.Load(t.Context(), []string{"/app/b", "/app/"})
	if err != nil {
		t.Fatal(err)
	}
	want := []backends.Update{
		{Path: "/app/b", Version: got[0].Version, Keys: map[string]string{"/app/b": "2"}},
		{Path: "/app/", Version: got[1].Version, Keys: map[string]string{"/app/a": "1", "/app/b": "2"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	_, err = newClient(t, filepath.Join(dir, "none")).Load(t.Context(), []string{"/"})
	if !errors.Is(err, backends.ErrDenied) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v, want an error that lasts", err)
	}
}
