package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"pc4patroni/internal/proctest"
)

// TestPictures holds the drawings of the documentation to the scripts that make them.
func TestPictures(t *testing.T) {
	proctest.Need(t, "awk")
	dir := filepath.Join(proctest.Repository(t), "docs", "pictures")
	pictures, err := filepath.Glob(filepath.Join(dir, "*.svg"))
	if err != nil || len(pictures) == 0 {
		t.Fatalf("no drawings in %s: %v", dir, err)
	}
	for _, picture := range pictures {
		script := picture[:len(picture)-len(".svg")] + ".sh"
		out := proctest.Invoke(t, os.Environ(), script)
		if out.Code != 0 || out.Stdout != proctest.Read(t, picture) {
			t.Errorf("%s does not draw %s: status %d\n%s", script, picture, out.Code, out.Stderr)
		}
	}
}
