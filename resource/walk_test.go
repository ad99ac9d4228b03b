package resource

import (
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWalk(t *testing.T) {
	s := newSite(t, nil)
	tests := []struct {
		text             string
		called, included []string
	}{
		{text: "plain"},
		{text: `{{getv "/a"}}`, called: []string{"getv"}},
		{text: `{{with $x := getv "/a" | toUpper}}{{.}}{{else with base "b"}}{{dir .}}{{else}}{{split "a" "b"}}{{end}}`,
			called: []string{"base", "dir", "getv", "split", "toUpper"}},
		{text: `{{if (exists "/a")}}{{range seq 1 2}}{{add . 1}}{{break}}{{else}}{{sub 2 1}}{{end}}{{end}}`,
			called: []string{"add", "exists", "seq", "sub"}},
		{text: `{{define "d"}}{{lower .}}{{end}}{{template "d" (upper "x")}}{{block "b" (title "x")}}{{trim .}}{{end}}`,
			called: []string{"lower", "title", "trim", "upper"}},
		{text: `{{(primary).Addr}}{{(index members 0).Tag (lower "Zone")}}`, called: []string{"index", "lower", "members", "primary"}},
		{text: `{{include "one.tmpl"}}{{printf "%s" (include "two.tmpl" .)}}{{(include "three.tmpl") | len}}{{include (printf "%s" "four.tmpl")}}`,
			called: []string{"include", "len", "printf"}, included: []string{"one.tmpl", "two.tmpl", "three.tmpl"}},
	}
	for _, name := range []string{"one", "two", "three", "four"} {
		s.write("templates/"+name+".tmpl", "{{/* nothing */}}")
	}
	for _, tt := range tests {
		s.write("templates/a.tmpl", tt.text)
		src, err := parseSource(filepath.Join(s.dir, "templates"), "a.tmpl", "{{", "}}")
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		if got := slices.Sorted(maps.Keys(src.calls)); !cmp.Equal(got, tt.called) {
			t.Errorf("%s: called: %s", tt.text, cmp.Diff(tt.called, got))
		}
		if got := included(src.trees["a.tmpl"].Root); !cmp.Equal(got, tt.included) {
			t.Errorf("%s: included: %s", tt.text, cmp.Diff(tt.included, got))
		}
	}
}
