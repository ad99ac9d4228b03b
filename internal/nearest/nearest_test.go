package nearest

import "testing"

func TestTo(t *testing.T) {
	words := []string{"check_cmd", "reload_cmd", "mode", "dest", "primary", "prefix"}
	tests := []struct{ typed, want string }{
		{"chek_cmd", "check_cmd"},
		{"reload_cdm", "reload_cmd"},
		{"primry", "primary"},
		{"prefxi", "prefix"},
		{"det", "dest"},
		{"haproxy", ""},
		{"", ""},
		{"x", ""},
	}
	for _, tt := range tests {
		if got := To(tt.typed, words); got != tt.want {
			t.Errorf("To(%q) = %q, want %q", tt.typed, got, tt.want)
		}
	}
	if got, want := Hint("mdoe", words), ` (did you mean "mode"?)`; got != want {
		t.Errorf("Hint(mdoe) = %q, want %q", got, want)
	}
	if got := Hint("haproxy", words); got != "" {
		t.Errorf("Hint(haproxy) = %q, want nothing", got)
	}
}
