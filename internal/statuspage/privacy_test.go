package statuspage

import (
	"fmt"
	"strings"
	"testing"
)

func TestChangeText(t *testing.T) {
	long := strings.Repeat("server x\n", 2000)
	for _, c := range []struct {
		name             string
		old, now         string
		loopback, public bool
		want             string
	}{
		{"public, on loopback", "a\nb\n", "a\nc\n", true, true, "@@ -1,2 +1,2 @@\n a\n-b\n+c\n"},
		{"a new file", "", "a\n", true, true, "@@ -0,0 +1 @@\n+a\n"},
		{"a file that ends", "a\n", "", true, true, "@@ -1 +0,0 @@\n-a\n"},
		{"not public", "password=x\n", "password=y\n", true, false,
			"lines added: 1, removed: 1; not shown: not every user of the host may read the file"},
		{"reached from elsewhere", "password=x\n", "password=y\n", false, true,
			"lines added: 1, removed: 1; not shown: the page can be reached from other hosts"},
		{"no text", "a\x00", "b", true, true, "not shown: the file is not text"},
		{"one long line", "", strings.Repeat("x", diffShown+1), true, true, "not shown: a line is too long"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := changeText(c.loopback)([]byte(c.old), []byte(c.now), c.public); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	got := changeText(true)(nil, []byte(long), true)
	if len(got) > diffShown+100 || !strings.HasSuffix(got, "+server x\n"+fmt.Sprintf("... and %d lines more\n", 2000-strings.Count(got, "+server"))) {
		t.Errorf("a long diff has %d bytes and ends with %q", len(got), got[max(0, len(got)-60):])
	}
}
