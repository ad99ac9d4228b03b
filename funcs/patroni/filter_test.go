package patroni

import (
	"strings"
	"testing"
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
	if got := names(WithinLag(Unknown, cluster(t, "own-49-no-optime").Readers)); len(got) != 0 {
		t.Errorf("without the leader's position nobody knows how far %v lag", got)
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
