package backends

import (
	"testing"
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
