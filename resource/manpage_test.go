package resource

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the keys into the man page")

const (
	manPage   = "../packaging/pc4patroni.5"
	manBegins = ".\\\" The keys, written by: go test ./resource -run TestManPage -update\n"
	manEnds   = ".\\\" The end of the keys\n"
)

// TestManPage compares the keys in the man page with the table in
// docs/resource-files.md, and both with the keys that a resource file takes. With
// -update it writes them.
func TestManPage(t *testing.T) {
	page, err := os.ReadFile(manPage)
	if err != nil {
		t.Fatal(err)
	}
	docs, err := os.ReadFile("../docs/resource-files.md")
	if err != nil {
		t.Fatal(err)
	}
	want, documented := manKeys(string(docs))
	var taken []string
	for field := range reflect.TypeFor[declaration]().Fields() {
		if key := field.Tag.Get("toml"); unsupported[key] == "" {
			taken = append(taken, key)
		}
	}
	slices.Sort(documented)
	slices.Sort(taken)
	if diff := cmp.Diff(taken, documented); diff != "" {
		t.Errorf("the keys in docs/resource-files.md are not those of [template] (-taken +documented):\n%s", diff)
	}
	before, rest, begins := strings.Cut(string(page), manBegins)
	got, after, ends := strings.Cut(rest, manEnds)
	if !begins || !ends {
		t.Fatalf("%s has no place for the keys", manPage)
	}
	if *update {
		if err := os.WriteFile(manPage, []byte(before+manBegins+want+manEnds+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the keys are stale; run go test ./resource -run TestManPage -update (-want +got):\n%s", diff)
	}
}

var (
	keyRow   = regexp.MustCompile("(?m)^\\| (`[a-z_]+`(?:, `[a-z_]+`)*) \\| (.*) \\| (.*) \\|$")
	codeSpan = regexp.MustCompile("`([^`]*)`")
)

// manKeys writes the table of keys for mandoc, and returns the keys.
func manKeys(docs string) (page string, keys []string) {
	var b strings.Builder
	b.WriteString(".Bl -tag -width Ds\n")
	for _, row := range keyRow.FindAllStringSubmatch(docs, -1) {
		names := strings.ReplaceAll(row[1], "`", "")
		keys = append(keys, strings.Split(names, ", ")...)
		fmt.Fprintf(&b, ".It Ar %s\n", strings.ReplaceAll(names, ", ", " , "))
		meaning := row[3]
		switch def := row[2]; def {
		case "required":
			meaning += ". Required"
		default:
			meaning += ". Default: " + def
		}
		for sentence := range strings.SplitSeq(meaning, ". ") {
			sentence = codeSpan.ReplaceAllString(strings.ReplaceAll(sentence, `\`, `\e`), `\fB$1\fR`)
			fmt.Fprintf(&b, "%s%s.\n", strings.ToUpper(sentence[:1]), sentence[1:])
		}
	}
	return b.String() + ".El\n", keys
}
