package patroni

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func cluster(t *testing.T, fixture string) *Cluster {
	t.Helper()
	return decodeAll(loadFixture(t, fixture))[0]
}

func TestWithinLag(t *testing.T) {
	c := cluster(t, "own-48-lags")
	tests := []struct {
		limit string
		want  string
	}{
		{"0", "ahead"},
		{"10", "ahead v41-no-replay"},
		{"29", "ahead v41-no-replay v41-only-xlog"},
		{"30", "ahead v41-no-replay v41-only-xlog v41-replay-only"},
		{"1MB", "ahead v40-behind v41-no-replay v41-only-xlog v41-replay-only"},
		{"1048577", "ahead v40-behind v41-no-replay v41-only-xlog v41-replay-behind v41-replay-only"},
		// What reports no position lags however large the limit.
		{"8TB", "ahead v40-behind v41-no-replay v41-only-xlog v41-replay-behind v41-replay-only"},
	}
	for _, tt := range tests {
		limit, err := ParseBytes(tt.limit)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(names(WithinLag(limit, c.Readers)), " "); got != tt.want {
			t.Errorf("within %s: %s, want %s", tt.limit, got, tt.want)
		}
	}
	if got := names(WithinLag(0, []*Member{c.Leader})); len(got) != 1 {
		t.Errorf("the leader lags behind itself")
	}
	if got := len(WithinLag(0, cluster(t, "own-49-no-optime").Readers)); got != 2 {
		t.Errorf("without the leader's position %d readers do not lag, want both", got)
	}
}

func TestTags(t *testing.T) {
	c := cluster(t, "own-25-tags-of-every-type")
	m := c.Member("db2")
	tests := []struct {
		tag, text string
		matches   bool // whether WithTag finds the member by the text
	}{
		{"yes", "true", true},
		{"no", "false", true},
		{"int", "7", true},
		{"negative", "-7", true},
		{"float", "1.5", true},
		{"exp", "1e+30", true},
		{"big", "1180591620717411303424", true},
		{"string", "A", true},
		{"upper", "TRUE", true},
		{"empty", "", true},
		{"null", "", false},
		{"missing", "", false},
		{"", "no name", true},
		{"with space", "a b", true},
		{"list", `[1,"a",null]`, true},
		{"map", `{"k":[true]}`, true},
		{"emoji", "🐘", true},
	}
	for _, tt := range tests {
		if got := m.Tag(tt.tag); got != tt.text {
			t.Errorf("tag %q is %q, want %q", tt.tag, got, tt.text)
		}
		if got := len(WithTag(tt.tag, tt.text, c.Readers)) == 1; got != tt.matches {
			t.Errorf("tag %q matches %q: %v, want %v", tt.tag, tt.text, got, tt.matches)
		}
		if got := len(WithoutTag(tt.tag, tt.text, c.Readers)) == 0; got != tt.matches {
			t.Errorf("tag %q does not match %q: %v, want %v", tt.tag, tt.text, !got, !tt.matches)
		}
	}
	// Strings are compared exactly, others by their lower-cased form.
	for tag, text := range map[string]string{"string": "a", "upper": "true", "yes": "True", "float": "1.50"} {
		if len(WithTag(tag, text, c.Readers)) > 0 {
			t.Errorf("tag %q matches %q", tag, text)
		}
	}
}

func TestFallbacks(t *testing.T) {
	c := cluster(t, "own-54-zones-and-weights")
	var nobody *Member
	broken := &Member{Name: "broken", Problem: "conn_url is missing"}
	tests := []struct {
		name    string
		choices []any
		want    string
	}{
		{"first", []any{WithTag("zone", "a", c.Readers), c.Readers, c.Leader}, "db2 db6"},
		{"second", []any{WithTag("zone", "x", c.Readers), c.Readers, c.Leader}, "db2 db3 db5 db6"},
		{"single member", []any{WithTag("zone", "x", c.Readers), c.Leader}, "db1"},
		{"lag too", []any{WithinLag(1<<20, WithTag("zone", "a", c.Readers)), c.Leader}, "db2"},
		{"nobody", []any{nobody, nil, []*Member{}, []*Member(nil)}, ""},
		{"no address", []any{broken, c.Leader}, "db1"},
		{"no choices", nil, ""},
	}
	for _, tt := range tests {
		got, err := FirstOf(tt.choices...)
		if err != nil || strings.Join(names(got), " ") != tt.want {
			t.Errorf("%s: FirstOf gives %v, %v, want %s", tt.name, got, err, tt.want)
		}
	}
	if got, err := OrElse(c.Readers, WithTag("zone", "a", c.Readers)); err != nil || fmt.Sprint(got) != "[db2 db6]" {
		t.Errorf("OrElse gives %v, %v, want the list", got, err)
	}
	if got, err := OrElse(c.Leader, nil); err != nil || fmt.Sprint(got) != "[db1]" {
		t.Errorf("OrElse gives %v, %v, want the leader", got, err)
	}
	if got, err := OrElse(nobody, nil); err != nil || len(got) != 0 {
		t.Errorf("OrElse gives %v, %v, want nobody", got, err)
	}
	for _, wrong := range []any{"db1", 1, []string{"db1"}, c} {
		const want = "is neither a member nor a list of members"
		if _, err := FirstOf(c.Readers, wrong); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("FirstOf(%T): %v, want %q", wrong, err, want)
		}
		if _, err := OrElse(wrong, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("OrElse(%T): %v, want %q", wrong, err, want)
		}
	}
	if diff := cmp.Diff([]string{"db2", "db3", "db5", "db6"}, names(c.Readers)); diff != "" {
		t.Errorf("the filters changed their list:\n%s", diff)
	}
}
