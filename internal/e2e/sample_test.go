package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pc4patroni/internal/proctest"
)

// edits are what a test changes in a sample: old text to new text. Apart from
// them the sample is used as it is delivered.
type edits map[string]string

var srcKey = regexp.MustCompile(`(?m)^src\s*=\s*"([^"]+)"`)

// adopt copies a sample's resource file and template to a configuration directory. An
// edit that finds nothing fails the test, since the sample has moved on without it.
func adopt(t *testing.T, confdir, name string, changes edits) {
	t.Helper()
	home := proctest.Repository(t)
	resource := proctest.Read(t, home, "conf.d", name+".toml")
	match := srcKey.FindStringSubmatch(resource)
	if match == nil {
		t.Fatalf("%s.toml has no src", name)
	}
	tmpl := proctest.Read(t, home, "templates", match[1])
	for before, after := range changes {
		if !strings.Contains(resource, before) && !strings.Contains(tmpl, before) {
			t.Fatalf("neither %s.toml nor %s contains %q", name, match[1], before)
		}
		resource = strings.ReplaceAll(resource, before, after)
		tmpl = strings.ReplaceAll(tmpl, before, after)
	}
	proctest.Write(t, resource, confdir, "conf.d", name+".toml")
	proctest.Write(t, tmpl, confdir, "templates", match[1])
}

// testSamplesRender runs what the README begins with.
func testSamplesRender(t *testing.T) {
	root, dest := proctest.Repository(t), proctest.WorkDir(t)
	snapshots := filepath.Join(root, "sample", "cluster.toml")
	renderAll(t, root, dest, snapshots)
	for path, want := range map[string][]string{
		"etc/haproxy/haproxy.cfg": {
			"\n    server db1 10.0.0.1:5432 maxconn 100 check port 8008\n",
			"\n    server db3 10.0.0.3:5432 maxconn 100 check port 8008\n",
		},
		"etc/pgbouncer/pgbouncer.ini": {
			"\n* = host=10.0.0.1 port=5432\n",
			"\napp_ro = host=10.0.0.2,10.0.0.3 port=5432 dbname=app\n",
		},
	} {
		got := anonymous.ReplaceAllString(proctest.Read(t, dest, path), "$1 ")
		for _, line := range want {
			if !strings.Contains(got, line) {
				t.Errorf("%s lacks %q:\n%s", path, line, got)
			}
		}
	}

	before := stat(t, filepath.Join(dest, "etc/haproxy/haproxy.cfg"))
	renderAll(t, root, dest, snapshots)
	if after := stat(t, filepath.Join(dest, "etc/haproxy/haproxy.cfg")); !os.SameFile(before, after) {
		t.Error("a second run replaced a file that did not change")
	}
}

var destKey = regexp.MustCompile(`(?m)^dest\s*=\s*"([^"]+)"`)

// renderAll renders every sample of a folder, and sees to it that each has its file,
// and that there are no others.
func renderAll(t *testing.T, confdir, dest, snapshots string) {
	t.Helper()
	proctest.Apply(t, 0, "-onetime", "-sync-only", "-confdir", confdir, "-file", snapshots, "-destdir", dest)
	samples, err := filepath.Glob(filepath.Join(confdir, "conf.d", "*.toml"))
	if err != nil || len(samples) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	installed := map[string]bool{}
	for _, sample := range samples {
		match := destKey.FindStringSubmatch(proctest.Read(t, sample))
		if match == nil {
			t.Fatalf("%s has no dest", sample)
		}
		path := filepath.Join(dest, match[1])
		installed[path] = true
		if strings.TrimSpace(proctest.Read(t, path)) == "" {
			t.Errorf("%s is empty", path)
		}
	}
	err = filepath.WalkDir(dest, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && !installed[path] {
			err = fmt.Errorf("%s is nobody's dest", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func stat(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// count returns how often a reload_cmd of the tests has run.
func count(t *testing.T, path string) int {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Count(string(content), "\n")
}
