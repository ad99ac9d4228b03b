package resource

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var keepAll = content{mode: keep, uid: keep, gid: keep}

func state(t *testing.T, path string) fileState {
	t.Helper()
	s, err := statFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func replace(t *testing.T, path string, want content) {
	t.Helper()
	s, err := stage(path, state(t, path), want)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.sync(); err != nil {
		t.Fatal(err)
	}
	if err := s.install(); err != nil {
		t.Fatal(err)
	}
}

func TestStageMetadata(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.conf")

	fresh := keepAll
	fresh.data = []byte("one\n")
	replace(t, path, fresh)
	if got := state(t, path).mode; got != 0o644 {
		t.Errorf("mode of a new file = %04o, want 0644", got)
	}

	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	replace(t, path, fresh)
	if got := state(t, path).mode; got != 0o640 {
		t.Errorf("mode of a replaced file = %04o, want it kept as 0640", got)
	}

	given := fresh
	given.mode = 0o4600
	given.mtime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	replace(t, path, given)
	got := state(t, path)
	if got.mode != 0o4600 || !got.modTime().Equal(given.mtime) {
		t.Errorf("mode = %04o, time = %v, want 4600 and %v", got.mode, got.modTime(), given.mtime)
	}
}

func TestStageOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	path := filepath.Join(t.TempDir(), "a.conf")
	write(t, path, "old", 0o600)
	if err := os.Chown(path, 12, 34); err != nil {
		t.Fatal(err)
	}
	replace(t, path, keepAll)
	if got := state(t, path); got.uid != 12 || got.gid != 34 {
		t.Errorf("owner = %d:%d, want it kept as 12:34", got.uid, got.gid)
	}
	want := keepAll
	want.uid, want.gid = 56, 78
	replace(t, path, want)
	if got := state(t, path); got.uid != 56 || got.gid != 78 {
		t.Errorf("owner = %d:%d, want 56:78", got.uid, got.gid)
	}
}

func TestStageKeepsAttributes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.conf")
	write(t, path, "old", 0o600)
	err := unix.Setxattr(path, "user.label", []byte("proxy"), 0)
	if errors.Is(err, unix.ENOTSUP) {
		t.Skip("this file system has no user attributes")
	}
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 1000)
	if err := unix.Setxattr(path, "user.long", []byte(long), 0); err != nil {
		t.Fatal(err)
	}
	replace(t, path, keepAll)
	for name, want := range map[string]string{"user.label": "proxy", "user.long": long} {
		if got, err := attribute(path, name); err != nil || string(got) != want {
			t.Errorf("%s = %q, %v, want it kept", name, got, err)
		}
	}
}

func TestStageIsInvisibleUntilInstalled(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "haproxy.cfg")
	s, err := stage(path, fileState{}, keepAll)
	if err != nil {
		t.Fatal(err)
	}
	if exists(path) {
		t.Error("the target exists before it is installed")
	}
	name := filepath.Base(s.path)
	if !strings.HasPrefix(name, ".") || !strings.HasSuffix(name, "haproxy.cfg") || filepath.Dir(s.path) != dir {
		t.Errorf("staged as %s, want a hidden name in %s that ends as the target does", s.path, dir)
	}
	if base, ok := stagedBase(name); !ok || base != "haproxy.cfg" {
		t.Errorf("stagedBase(%q) = %q, %v", name, base, ok)
	}
	s.discard()
	if exists(s.path) {
		t.Error("the staged file is still there")
	}
}

func TestInstallOverMountPoint(t *testing.T) {
	dir := t.TempDir()
	path, source := filepath.Join(dir, "a.conf"), filepath.Join(dir, "source")
	write(t, path, "", 0o644)
	write(t, source, "a longer text than the new one\n", 0o644)
	if err := syscall.Mount(source, path, "", syscall.MS_BIND, ""); err != nil {
		if os.Getenv("PC4PATRONI_E2E") == "1" {
			t.Fatalf("bind mount: %v", err)
		}
		t.Skipf("bind mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(path, 0); err != nil {
			t.Error(err)
		}
	})
	want := keepAll
	want.data, want.mode = []byte("new\n"), 0o600
	s, err := stage(path, state(t, path), want)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.install(); !errors.Is(err, errMountPoint) {
		t.Fatalf("install = %v, want errMountPoint", err)
	}
	if err := overwrite(path, want); err != nil {
		t.Fatal(err)
	}
	s.discard()
	if got := readFile(t, source); got != "new\n" {
		t.Errorf("what is mounted = %q, want the new text", got)
	}
	if got := state(t, path).mode; got != 0o600 {
		t.Errorf("mode = %04o, want 0600", got)
	}
}

func TestOnceWritesMountPointInPlace(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "conf.d/a.toml", plainResource+`reload_cmd = "cat OUTa.conf >>OUTreloads"`)
	s.write("out/a.conf", "")
	s.write("source", "old\n")
	if err := syscall.Mount(filepath.Join(s.dir, "source"), s.out("a.conf"), "", syscall.MS_BIND, ""); err != nil {
		if os.Getenv("PC4PATRONI_E2E") == "1" {
			t.Fatalf("bind mount: %v", err)
		}
		t.Skipf("bind mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(s.out("a.conf"), 0); err != nil {
			t.Error(err)
		}
	})
	s.wantState(s.once(), "a", Changed, "")
	if got := readFile(t, filepath.Join(s.dir, "source")); got != "10.0.0.1\n" {
		t.Errorf("what is mounted = %q", got)
	}
	if got := s.read("reloads"); got != "10.0.0.1\n" {
		t.Errorf("reloads = %q", got)
	}
	if !strings.Contains(s.log.String(), "dest is a mount point") {
		t.Errorf("no warning:\n%s", s.log.String())
	}
	s.wantFiles("a.conf", "reloads")
	s.wantState(s.once(), "a", InSync, "")
}

func TestResolve(t *testing.T) {
	dir := t.TempDir()
	links := map[string]string{"relative": "sub/target", "absolute": "/etc/target", "chain": "relative", "loop": "loop", "out": "../../target"}
	for name, to := range links {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct{ name, root, want, err string }{
		{"plain", "", "DIR/plain", ""},
		{"relative", "", "DIR/sub/target", ""},
		{"chain", "", "DIR/sub/target", ""},
		{"absolute", "", "/etc/target", ""},
		{"absolute", dir, "DIR/etc/target", ""},
		{"out", dir, "", "DIR/out is a symbolic link that leads out of DIR"},
		{"loop", "", "", "DIR/loop: too many levels of symbolic links"},
	}
	for _, tt := range tests {
		got, err := resolve(filepath.Join(dir, tt.name), tt.root)
		text := ""
		if err != nil {
			text = strings.ReplaceAll(err.Error(), dir, "DIR")
		}
		if strings.ReplaceAll(got, dir, "DIR") != tt.want || text != tt.err {
			t.Errorf("resolve(%s, %q) = %q, %q, want %q, %q", tt.name, tt.root, got, text, tt.want, tt.err)
		}
	}
}

// A link in the place of a mark leads nowhere.
func TestMarkFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	victim, target := filepath.Join(dir, "victim"), filepath.Join(dir, "a.conf")
	write(t, victim, "precious\n", 0o600)
	if err := os.Symlink(victim, markPath(target)); err != nil {
		t.Fatal(err)
	}
	if err := setMark(target, false); err == nil {
		t.Error("the mark was set through a link")
	}
	if got := readFile(t, victim); got != "precious\n" {
		t.Errorf("the file behind the link = %q", got)
	}
}
