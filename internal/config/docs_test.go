package config

import (
	"os"
	"strings"
	"testing"
)

// TestCommandLinePage compares docs/command-line.md with the options: each has
// one row in one table, with its value and its default, and no row is about
// anything else.
func TestCommandLinePage(t *testing.T) {
	data, err := os.ReadFile("../../docs/command-line.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	rows := make(map[string][]string)
	for line := range strings.SplitSeq(page, "\n") {
		cells := strings.Split(line, " | ")
		flag, ok := strings.CutPrefix(cells[0], "| `-")
		if !ok {
			continue
		}
		name, _, _ := strings.Cut(strings.Trim(flag, "`"), " ")
		if rows[name] != nil {
			t.Errorf("-%s has more than one row", name)
		}
		rows[name] = cells
	}
	for _, o := range options {
		cells := rows[o.name]
		if cells == nil {
			t.Errorf("-%s has no row", o.name)
			continue
		}
		delete(rows, o.name)
		want := strings.TrimSpace("-" + o.name + " " + o.arg)
		if got := strings.Trim(cells[0], "| `"); got != want {
			t.Errorf("the row of -%s begins %q, want %q", o.name, got, want)
		}
		row := strings.Join(cells, " | ")
		if o.def != "" && !strings.Contains(row, "`"+o.def+"`") {
			t.Errorf("the row of -%s does not say its default %s", o.name, o.def)
		}
	}
	for name := range rows {
		t.Errorf("-%s has a row, but there is no such flag", name)
	}
	for i := range options {
		for _, name := range append(options[i].vars, options[i].keys...) {
			if name != "files" && !strings.Contains(page, name) && !strings.Contains(page, underscores(name)) {
				t.Errorf("%s of -%s is not mentioned", name, options[i].name)
			}
		}
	}
}
