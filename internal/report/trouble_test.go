package report

import (
	"strings"
	"testing"

	"pc4patroni/resource/engine"
)

// TestOutdated asks for the reload that somebody forgot after an edit, on the
// page and in systemctl status.
func TestOutdated(t *testing.T) {
	status := engine.Status{Outdated: true}
	if got := Troubles(status); len(got) != 1 || got[0].Level != Warn || !strings.Contains(got[0].Text, "run systemctl reload") {
		t.Errorf("troubles %v, want a warning that names systemctl reload", got)
	}
	if got := Summary(status); !strings.Contains(got, "run systemctl reload") {
		t.Errorf("summary %q does not name systemctl reload", got)
	}
}
