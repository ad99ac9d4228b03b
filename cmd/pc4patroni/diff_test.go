package main

import (
	"strings"
	"testing"

	"pc4patroni/resource/engine"
)

func TestPrintChange(t *testing.T) {
	tests := []struct {
		name   string
		change engine.Change
		want   string
	}{
		{"bytes", engine.Change{Dest: "/a", Old: []byte("one\ntwo\n"), Now: []byte("one\n2\n")},
			"--- /a\n+++ /a\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n"},
		{"new", engine.Change{Dest: "/a", New: true, Now: []byte("one\n"), Metadata: []string{"mode 0640"}},
			"# /a: mode 0640\n--- /dev/null\n+++ /a\n@@ -0,0 +1 @@\n+one\n"},
		{"metadata alone", engine.Change{Dest: "/a", Old: []byte("one\n"), Now: []byte("one\n"), Metadata: []string{"mode 0644 -> 0640", "owner"}},
			"# /a: mode 0644 -> 0640\n# /a: owner\n"},
		{"no newline at the end", engine.Change{Dest: "/a", Old: []byte("one"), Now: []byte("two")},
			"--- /a\n+++ /a\n@@ -1 +1 @@\n-one\n\\ No newline at end of file\n+two\n\\ No newline at end of file\n"},
		{"binary", engine.Change{Dest: "/a", Old: []byte("one"), Now: []byte("\x00")},
			"Binary files /a and /a differ\n"},
		{"not UTF-8", engine.Change{Dest: "/a", New: true, Now: []byte("caf\xe9\n")},
			"Binary files /dev/null and /a differ\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b strings.Builder
			if err := printChange(&b, &tt.change, false); err != nil {
				t.Fatal(err)
			}
			if got := b.String(); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestColour(t *testing.T) {
	change := engine.Change{Dest: "/a", Old: []byte("same\n-- looks like a header\n"), Now: []byte("same\n\x1b[2J"), Metadata: []string{"mode"}}
	var b strings.Builder
	if err := printChange(&b, &change, true); err != nil {
		t.Fatal(err)
	}
	want := "\x1b[1m# /a: mode\x1b[m\n\x1b[1m--- /a\x1b[m\n\x1b[1m+++ /a\x1b[m\n\x1b[36m@@ -1,2 +1,2 @@\x1b[m\n same\n" +
		"\x1b[31m--- looks like a header\x1b[m\n\x1b[32m+\\x1b[2J\x1b[m\n\\ No newline at end of file\n"
	if got := b.String(); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
