package config

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the flags into the man page")

const (
	manPage   = "../../packaging/pc4patroni.8"
	manBegins = ".\\\" The flags, written by: go test ./internal/config -run TestManPage -update\n"
	manEnds   = ".\\\" The end of the flags\n"
)

// TestManPage compares the flags in the man page with the options. With
// -update it writes them.
func TestManPage(t *testing.T) {
	data, err := os.ReadFile(manPage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(data), manBegins)
	got, after, ends := strings.Cut(rest, manEnds)
	if !begins || !ends {
		t.Fatalf("%s has no place for the flags", manPage)
	}
	want := manFlags()
	if *update {
		if err := os.WriteFile(manPage, []byte(before+manBegins+want+manEnds+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the flags are stale; run go test ./internal/config -run TestManPage -update (-want +got):\n%s", diff)
	}
}

// manFlags writes the options for mandoc, in a list for each group.
func manFlags() string {
	var b strings.Builder
	var heading group
	for _, o := range options {
		if o.group != heading {
			if heading != "" {
				b.WriteString(".El\n")
			}
			heading = o.group
			fmt.Fprintf(&b, ".Ss %s\n.Bl -tag -width Ds\n", heading)
		}
		fmt.Fprintf(&b, ".It Fl %s", o.name)
		if o.arg != "" {
			fmt.Fprintf(&b, " Ar %s", strings.ToLower(o.arg))
		}
		b.WriteByte('\n')
		for sentence := range strings.SplitSeq(o.help, "; ") {
			fmt.Fprintf(&b, "%s%s.\n", strings.ToUpper(sentence[:1]), sentence[1:])
		}
		if o.def != "" && !o.isBool() {
			fmt.Fprintf(&b, "The default is %s.\n", o.def)
		}
	}
	return b.String() + ".El\n"
}
