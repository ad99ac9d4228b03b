package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestManPage holds the man page to the flags that there are, and to their
// defaults.
func TestManPage(t *testing.T) {
	data, err := os.ReadFile("../../packaging/pc4patroni.8")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	entries := regexp.MustCompile(`(?m)^\.It Fl (\S+)`).FindAllStringSubmatchIndex(page, -1)
	var got []string
	text := make(map[string]string)
	for i, at := range entries {
		end := len(page)
		if i+1 < len(entries) {
			end = entries[i+1][0]
		}
		name := page[at[2]:at[3]]
		got = append(got, name)
		text[name] = page[at[0]:end]
	}
	want := []string{"help"}
	for i := range options {
		o := &options[i]
		want = append(want, o.name)
		// A switch that is on says so in words.
		if o.def != "" && o.kind != aBool && !strings.Contains(text[o.name], o.def) {
			t.Errorf("-%s: the page does not name the default %s", o.name, o.def)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("flags (-want +got):\n%s", diff)
	}
}
