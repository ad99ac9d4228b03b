package backends

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestJoin(t *testing.T) {
	tests := []struct{ prefix, key, want string }{
		{"/service/batman", "/", "/service/batman/"},
		{"/service/batman", "", "/service/batman/"},
		{"service/batman/", "/", "/service/batman/"},
		{"/service/batman", "/leader", "/service/batman/leader"},
		{"/service/batman", "members/", "/service/batman/members/"},
		{"/", "/service//batman", "/service/batman"},
		{"", "/", "/"},
		{"/", "/", "/"},
	}
	for _, tt := range tests {
		if got := Join(tt.prefix, tt.key); got != tt.want {
			t.Errorf("Join(%q, %q) = %q, want %q", tt.prefix, tt.key, got, tt.want)
		}
	}
}

func TestCovers(t *testing.T) {
	tests := []struct {
		path, key string
		want      bool
	}{
		{"/service/batman/", "/service/batman/leader", true},
		{"/service/batman/", "/service/batman", false},
		{"/service/batman", "/service/batman", true},
		{"/service/batman", "/service/batman/members/a", false},
		{"/service/batman", "/service/batman2", false},
		{"/service/batman", "/service/batman2/leader", false},
		{"/service/batman", "/service/batman-2/leader", false},
		{"/service/batman/", "/service/batman-2/leader", false},
		{"/", "/anything", true},
		{"/", "no-slash", false},
	}
	for _, tt := range tests {
		if got := Covers(tt.path, tt.key); got != tt.want {
			t.Errorf("Covers(%q, %q) = %v, want %v", tt.path, tt.key, got, tt.want)
		}
	}
}

func TestMinimize(t *testing.T) {
	tests := []struct{ name, in, want []string }{
		{[]string{"nothing to do"}, []string{"/b/", "/a"}, []string{"/a", "/b/"}},
		{[]string{"twice"}, []string{"/a", "/a"}, []string{"/a"}},
		{[]string{"below"}, []string{"/a/b", "/a/", "/a/c/"}, []string{"/a/"}},
		{[]string{"the key itself is not below"}, []string{"/a", "/a/"}, []string{"/a", "/a/"}},
		{[]string{"below an exact key"}, []string{"/a", "/a/b"}, []string{"/a", "/a/b"}},
		{[]string{"siblings"}, []string{"/a", "/a2", "/a-2"}, []string{"/a", "/a-2", "/a2"}},
		{[]string{"all"}, []string{"/", "/a", "/b/"}, []string{"/"}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, Minimize(tt.in)); diff != "" {
			t.Errorf("%s: Minimize(%q) (-want +got):\n%s", tt.name[0], tt.in, diff)
		}
	}
}
