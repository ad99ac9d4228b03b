package show

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"pc4patroni/internal/report"
)

// TestShowFixtures compares what a person sees of every fixture of package
// patroni, hostile ones included, with testdata/show. UPDATE_SCRIPTS=1 writes
// these files anew.
func TestShowFixtures(t *testing.T) {
	fixtures, err := filepath.Glob("../../funcs/patroni/testdata/fixtures/*.json")
	if err != nil || len(fixtures) < 60 {
		t.Fatalf("%d fixtures: %v", len(fixtures), err)
	}
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, fixture := range fixtures {
		name := strings.TrimSuffix(filepath.Base(fixture), ".json")
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			Table(&out, &report.View{At: now, Clusters: report.Clusters(map[string]map[string]string{"": fixtureKeys(t, fixture)})})
			checkPage(t, out.String())
			golden(t, filepath.Join("testdata", "show", name+".txt"), out.String())
		})
	}
}

// checkPage wants what holds for whatever the keys say: nothing acts on the
// terminal.
func checkPage(t *testing.T, page string) {
	t.Helper()
	for line := range strings.Lines(page) {
		line = strings.TrimSuffix(line, "\n")
		if strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("not printable: %q", line)
		}
		if line != strings.TrimRight(line, " ") {
			t.Errorf("spaces at the end: %q", line)
		}
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if os.Getenv("UPDATE_SCRIPTS") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// fixtureKeys reads a fixture as package patroni does: an object instead of a
// text has it in base64.
func fixtureKeys(t *testing.T, path string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		t.Fatal(err)
	}
	keys := make(map[string]string, len(raw))
	for key, value := range raw {
		var text string
		if err := json.Unmarshal(value, &text); err != nil {
			var encoded struct{ Base64 string }
			if err := json.Unmarshal(value, &encoded); err != nil {
				t.Fatal(err)
			}
			decoded, err := base64.StdEncoding.DecodeString(encoded.Base64)
			if err != nil {
				t.Fatal(err)
			}
			text = string(decoded)
		}
		keys[key] = text
	}
	return keys
}
