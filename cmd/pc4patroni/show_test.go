package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"pc4patroni/funcs"
	"pc4patroni/funcs/patroni"
)

func TestInWords(t *testing.T) {
	tests := []struct {
		lag  patroni.Bytes
		want string
	}{
		{0, "0"}, {1, "1 B"}, {1023, "1023 B"}, {1024, "1 KiB"}, {1536, "1.5 KiB"}, {1 << 20, "1 MiB"}, {1<<20 - 1, "1 MiB"},
		{24 << 20, "24 MiB"}, {3 << 30, "3 GiB"}, {math.MaxInt64 - 1, "8 EiB"}, {patroni.Unknown, "unknown"},
	}
	for _, tt := range tests {
		if got := inWords(tt.lag); got != tt.want {
			t.Errorf("inWords(%d) = %q, want %q", int64(tt.lag), got, tt.want)
		}
	}
}

func TestMoment(t *testing.T) {
	now := time.Date(2026, 3, 29, 3, 0, 0, 0, time.UTC)
	tests := []struct{ text, want string }{
		{"2026-03-29T02:59:18.120000+00:00", "2026-03-29 02:59:18 UTC (41s ago)"},
		{"2026-03-29T04:48:00+02:00", "2026-03-29 02:48:00 UTC (12m ago)"},
		{"2026-03-28T23:55:00+00:00", "2026-03-28 23:55:00 UTC (3h5m ago)"},
		{"2026-03-29T03:30:00.5+00:00", "2026-03-29 03:30:00 UTC (in 30m)"},
		{"2026-03-28T03:00:00Z", "2026-03-28 03:00:00 UTC"},
		{"2026-04-01 02:00:00+00:00", "2026-04-01 02:00:00 UTC"},
		{"half past two", "half past two"},
		{"", ""},
	}
	for _, tt := range tests {
		if got := moment(tt.text, now); got != tt.want {
			t.Errorf("moment(%q) = %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestFold(t *testing.T) {
	tests := []struct {
		name        string
		text        string
		first, rest int
		want        []string
	}{
		{"empty", "", 5, 5, []string{""}},
		{"fits", "abc de", 6, 3, []string{"abc de"}},
		{"at a space", "abc de", 5, 5, []string{"abc", "de"}},
		{"at the last space", "a b c d", 5, 3, []string{"a b c", "d"}},
		{"within a word", "abcdefgh", 3, 4, []string{"abc", "defg", "h"}},
		{"a long word comes after a short one", "a bcdefgh", 4, 4, []string{"a", "bcde", "fgh"}},
		{"wide letters", "数据库数据库", 6, 5, []string{"数据库", "数据", "库"}},
		{"a line of one column", "数据", 1, 1, []string{"数", "据"}},
		{"marks take no room", "e\u0301e\u0301e\u0301", 3, 3, []string{"e\u0301e\u0301e\u0301"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, fold(tt.text, tt.first, tt.rest)); diff != "" {
				t.Errorf("fold (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTable(t *testing.T) {
	tests := []struct {
		name string
		rows [][]string
		want string
	}{
		{"what fits stays in one line",
			[][]string{{"MEMBER", "ADDRESS", "LAG"}, {"db1", "10.0.0.1:5432", ""}, {"db2", "10.0.0.2:5432", "24 MiB"}},
			"" +
				"  MEMBER  ADDRESS        LAG\n" +
				"  db1     10.0.0.1:5432\n" +
				"  db2     10.0.0.2:5432  24 MiB\n"},
		{"names of Kubernetes leave the row aligned",
			[][]string{
				{"MEMBER", "ADDRESS", "ROLE", "STATE", "TL", "LAG"},
				{"orders-0", "orders-0.orders.production.svc.cluster.local:5432", "leader", "running", "3", ""},
				{"orders-1", "orders-1.orders.production.svc.cluster.local:5432", "replica", "streaming", "3", "24 MiB"},
			},
			"" +
				"  MEMBER    ADDRESS  ROLE     STATE      TL  LAG\n" +
				"  orders-0  orders-0.orders.production.svc.cluster.local:5432\n" +
				"                     leader   running    3\n" +
				"  orders-1  orders-1.orders.production.svc.cluster.local:5432\n" +
				"                     replica  streaming  3   24 MiB\n"},
		{"one long name leaves the others alone",
			[][]string{{"MEMBER", "ADDRESS"}, {strings.Repeat("n", 90), "10.0.0.1:5432"}, {"db2", "10.0.0.2:5432"}},
			"" +
				"  MEMBER  ADDRESS\n" +
				"  " + strings.Repeat("n", 78) + "\n" +
				"  " + strings.Repeat("n", 12) + "\n" +
				"          10.0.0.1:5432\n" +
				"  db2     10.0.0.2:5432\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			table := table{indent: 2}
			for _, row := range tt.rows {
				table.row(row...)
			}
			var out bytes.Buffer
			table.write(&out)
			checkPage(t, out.String())
			if diff := cmp.Diff(tt.want, out.String()); diff != "" {
				t.Errorf("table (-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzFold(f *testing.F) {
	f.Add("tags: a=b c=d", uint8(8))
	f.Add("数据库 x", uint8(3))
	f.Add("\xff\xfe", uint8(2))
	f.Fuzz(func(t *testing.T, text string, limit uint8) {
		columns := max(2, int(limit)) // a wide letter fits
		lines := fold(text, columns, columns)
		for _, line := range lines {
			if displayWidth(line) > columns {
				t.Errorf("%q is wider than %d", line, columns)
			}
		}
		words := func(s string) string { return strings.ReplaceAll(s, " ", "") }
		if got, want := words(strings.Join(lines, "")), words(text); got != want {
			t.Errorf("folded text is %q, want %q", got, want)
		}
	})
}

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
			store := funcs.NewStore()
			store.Replace(maps.All(fixtureKeys(t, fixture)))
			var out bytes.Buffer
			for _, c := range store.Clusters("/") {
				printCluster(&out, c, now)
			}
			checkPage(t, out.String())
			golden(t, filepath.Join("testdata", "show", name+".txt"), out.String())
		})
	}
}

// checkPage wants what holds for whatever the keys say: nothing wraps in 80
// columns, and nothing acts on the terminal.
func checkPage(t *testing.T, page string) {
	t.Helper()
	for line := range strings.Lines(page) {
		line = strings.TrimSuffix(line, "\n")
		if displayWidth(line) > 80 {
			t.Errorf("wider than 80 columns: %q", line)
		}
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
