package e2e

import (
	"path/filepath"
	"testing"

	"pc4patroni/internal/proctest"
)

// TestPictures holds the pictures of the documentation to the scripts that draw them.
func TestPictures(t *testing.T) {
	proctest.Need(t, "awk")
	dir := filepath.Join(proctest.Repository(t), "docs", "pictures")
	scripts, err := filepath.Glob(filepath.Join(dir, "*.sh"))
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts in %s: %v", dir, err)
	}
	for _, script := range scripts {
		out := proctest.Invoke(t, nil, script)
		picture := script[:len(script)-len(".sh")] + ".svg"
		if out.Code != 0 || out.Stdout != proctest.Read(t, picture) {
			t.Errorf("%s does not draw %s: status %d\n%s", script, picture, out.Code, out.Stderr)
		}
	}
}
