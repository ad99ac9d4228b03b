package install

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// nobody is the user and group that tests use as somebody else.
const nobody = 65534

func wanting(data string) Want { return Want{Data: []byte(data), UID: Keep, GID: Keep, Mode: Keep} }

// put stages and installs data at target.
func put(t *testing.T, target, data string, opts Options) Result {
	t.Helper()
	result, err := tryPut(target, wanting(data), opts)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func tryPut(target string, want Want, opts Options) (Result, error) {
	staged, err := Stage(target, want)
	if err != nil {
		return Result{}, err
	}
	return staged.Install(opts)
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantNames(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var got []string
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s holds %v, want %v", dir, got, want)
	}
}

// needRoot skips the test, or fails it where every test has to run.
func needRoot(t *testing.T, why string) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("PC4PATRONI_E2E") == "1" {
		t.Fatalf("root is needed to %s, and PC4PATRONI_E2E=1 wants every test to run", why)
	}
	t.Skipf("root is needed to %s", why)
}

// openTemp returns a temporary directory that every user may enter.
func openTemp(t *testing.T) string {
	dir := t.TempDir()
	must(t, os.Chmod(filepath.Dir(dir), 0o755))
	return dir
}

// as runs f as another user, on a thread that ends with it.
func as(t *testing.T, uid, gid int, f func()) {
	t.Helper()
	needRoot(t, "become another user")
	done := make(chan string)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread is of no use to others
		problem := "ended early"
		defer func() { done <- problem }()
		for _, call := range [][4]uintptr{
			{unix.SYS_SETGROUPS, 0, 0, 0},
			{unix.SYS_SETRESGID, uintptr(gid), uintptr(gid), uintptr(gid)},
			{unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)},
		} {
			if _, _, errno := unix.RawSyscall(call[0], call[1], call[2], call[3]); errno != 0 {
				problem = errno.Error()
				return
			}
		}
		f()
		problem = ""
	}()
	if problem := <-done; problem != "" {
		t.Fatal(problem)
	}
}

func TestInstall(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "a.conf")
	put(t, target, "one\n", Options{Reload: true})
	if info, err := os.Stat(target); err != nil || info.Mode() != 0o644 {
		t.Errorf("a new file: %v, %v, want mode 0644", info.Mode(), err)
	}
	if got, err := PendingOf(target); got != Reload || err != nil {
		t.Errorf("pending = %v, %v, want Reload", got, err)
	}
	must(t, ClearPending(target))
	must(t, os.Chmod(target, 0o640))
	long := strings.Repeat("kept ", 200)
	must(t, unix.Setxattr(target, "user.test", []byte(long), 0))
	result := put(t, target, "two\n", Options{Backup: true})
	if now, err := Stat(target); err != nil || now != result.State {
		t.Errorf("state = %+v, %v, want %+v", now, err, result.State)
	}
	if got := read(t, target); got != "two\n" || result.State.Mode != 0o640 {
		t.Errorf("content %q, mode %o", got, result.State.Mode)
	}
	value := make([]byte, 2*len(long))
	if n, err := unix.Getxattr(target, "user.test", value); err != nil || string(value[:n]) != long {
		t.Errorf("extended attribute = %q, %v", value[:max(n, 0)], err)
	}
	if got := read(t, target+".bak"); got != "one\n" {
		t.Errorf("backup = %q", got)
	}
	if differs, err := Compare(target, result.State, wanting("two\n")); differs || err != nil {
		t.Errorf("Compare = %v, %v", differs, err)
	}
	if differs, err := Compare(target, result.State, wanting("TWO\n")); !differs || err != nil {
		t.Errorf("Compare with other bytes = %v, %v", differs, err)
	}
	want := wanting("two\n")
	want.Mode, want.ModTime = 0o600, time.Unix(1e9, 123456789)
	if differs, err := Compare(target, result.State, want); !differs || err != nil {
		t.Errorf("Compare with another mode = %v, %v", differs, err)
	}
	result, err := tryPut(target, want, Options{})
	if err != nil || !result.State.ModTime().Equal(want.ModTime) || result.State.Mode != 0o600 {
		t.Errorf("time %v, mode %o, %v", result.State.ModTime(), result.State.Mode, err)
	}
	must(t, SyncDir(target))
	wantNames(t, dir, "a.conf", "a.conf.bak")
}

// The first file of somebody else's keeps a copy, whatever else is asked for;
// files of our own leave none, also in a later run.
func TestTakeoverKeepsOriginal(t *testing.T) {
	dir := t.TempDir()
	target, ours := filepath.Join(dir, "haproxy.cfg"), filepath.Join(dir, "ours")
	must(t, os.WriteFile(target, []byte("by hand\n"), 0o600))
	result := put(t, target, "rendered\n", Options{})
	original := filepath.Join(dir, ".haproxy.cfg.pc4patroni-orig")
	if result.Original != original || read(t, original) != "by hand\n" {
		t.Errorf("original = %q", result.Original)
	}
	if info, err := os.Stat(original); err != nil || info.Mode() != 0o600 {
		t.Errorf("the copy has mode %v, %v", info.Mode(), err)
	}
	if result := put(t, target, "rendered again\n", Options{}); result.Original != "" {
		t.Error("a file of our own was copied")
	}
	must(t, os.Remove(target))
	must(t, os.WriteFile(target, []byte("by hand again\n"), 0o600))
	put(t, target, "rendered\n", Options{})
	if got := read(t, original); got != "by hand\n" {
		t.Errorf("the original was replaced by %q", got)
	}
	put(t, ours, "one\n", Options{})
	put(t, ours, "two\n", Options{})
	wantNames(t, dir, "haproxy.cfg", ".haproxy.cfg.pc4patroni-orig", "ours")
}

// A user who may not give the file away keeps it up to date all the same, is
// told by name what stands in the way, and does not replace it for ever.
func TestOwnerThatMayNotBeSet(t *testing.T) {
	dir := openTemp(t)
	must(t, os.Chown(dir, nobody, nobody))
	target := filepath.Join(dir, "a.conf")
	as(t, nobody, nobody, func() {
		want := wanting("one\n")
		want.UID, want.GID = nobody, 0
		for range 2 {
			result, err := tryPut(target, want, Options{})
			if err != nil || len(result.Warnings) != 1 {
				t.Errorf("warnings %v, err %v, want one warning", result.Warnings, err)
				return
			}
			const text = ": user nobody is not a member of group root and may not give it to that group: run as root, or set another group"
			if got := result.Warnings[0]; got != target+text {
				t.Errorf("warning %q", got)
			}
			if differs, err := Compare(target, result.State, want); differs || err != nil {
				t.Errorf("Compare = %v, %v, want the file to be right", differs, err)
			}
			if foreseen, err := Preflight(target, want, false); err != nil || !slices.Equal(foreseen, result.Warnings) {
				t.Errorf("Preflight = %v, %v, want %v", foreseen, err, result.Warnings)
			}
		}
	})
	// Root's file, in a directory that we may write.
	must(t, os.Remove(target))
	must(t, os.WriteFile(target, []byte("root's\n"), 0o644))
	as(t, nobody, nobody, func() {
		result, err := tryPut(target, wanting("two\n"), Options{})
		if err != nil || len(result.Warnings) != 2 || !strings.Contains(result.Warnings[1], "may not give it to user root") {
			t.Errorf("warnings %v, err %v, want group and owner", result.Warnings, err)
		}
		if result, err = tryPut(target, wanting("three\n"), Options{}); err != nil || len(result.Warnings) != 0 {
			t.Errorf("the second time: %v, %v", result.Warnings, err)
		}
	})
	if got := read(t, target); got != "three\n" {
		t.Errorf("content %q", got)
	}
}

func TestPreflight(t *testing.T) {
	dir := openTemp(t)
	for name, mode := range map[string]os.FileMode{"mine": 0o755, "root": 0o755, "tmp": 0o777 | os.ModeSticky} {
		must(t, os.Mkdir(filepath.Join(dir, name), 0o755))
		must(t, os.Chmod(filepath.Join(dir, name), mode))
	}
	must(t, os.Chown(filepath.Join(dir, "mine"), nobody, nobody))
	must(t, os.Mkdir(filepath.Join(dir, "mine/sub"), 0o755))
	for _, name := range []string{"mine/secret", "tmp/a", "mine/a"} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600))
	}
	must(t, os.Chmod(filepath.Join(dir, "tmp/a"), 0o644))
	must(t, os.Chmod(filepath.Join(dir, "mine/a"), 0o644))
	group := groupName(nobody)
	tests := []struct {
		target   string
		makeDirs bool
		want     string
	}{
		{"mine/new", false, ""},
		{"mine/a", false, ""},
		{"mine/x/y/new", true, ""},
		{"mine/x/new", false, "the directory DIR/mine/x does not exist: create it, or set create_dest_dirs = true"},
		{"root/new", false, "stage DIR/root/new: permission denied: user nobody may not create files in DIR/root: chgrp " + group + " DIR/root && chmod g+w DIR/root"},
		{"root/x/new", true, "stage DIR/root/x: permission denied: user nobody may not create files in DIR/root: chgrp " + group + " DIR/root && chmod g+w DIR/root"},
		{"mine/secret", false, "open DIR/mine/secret: permission denied: user nobody may not read it"},
		{"tmp/new", false, ""},
		{"tmp/a", false, "replace DIR/tmp/a: operation not permitted: DIR/tmp may be sticky (drwxrwxrwt), so that user nobody may replace only their own files in it"},
		{"mine/sub", false, "DIR/mine/sub is a directory, not a regular file: change dest, or move it away"},
		{"mine/" + strings.Repeat("x", 230), false, "stage DIR/mine/" + strings.Repeat("x", 230) + ": file name too long: choose a shorter name"},
	}
	as(t, nobody, nobody, func() {
		for _, tt := range tests {
			target := filepath.Join(dir, tt.target)
			text := func(err error) string {
				if err == nil {
					return ""
				}
				return strings.ReplaceAll(err.Error(), dir, "DIR")
			}
			_, err := Preflight(target, wanting(""), tt.makeDirs)
			if got := text(err); got != tt.want {
				t.Errorf("Preflight(%s) = %q, want %q", tt.target, got, tt.want)
			}
			if tt.target != "root/new" {
				continue
			}
			// What Preflight foresees is what happens, in the same words each time.
			for range 2 {
				if _, err := tryPut(target, wanting(""), Options{}); text(err) != tt.want {
					t.Errorf("Stage = %q, want %q", text(err), tt.want)
				}
			}
		}
	})
	wantNames(t, filepath.Join(dir, "mine"), "a", "secret", "sub")
	wantNames(t, filepath.Join(dir, "root"))
}

// What Read returns may be shown to those who may read the file that was looked
// at, so it is never that of another, which fewer may read.
func TestReadRefusesAnotherFile(t *testing.T) {
	target := filepath.Join(t.TempDir(), "a.conf")
	put(t, target, "public\n", Options{})
	have, err := Stat(target)
	must(t, err)
	if data, err := Read(target, have); err != nil || string(data) != "public\n" {
		t.Errorf("Read = %q, %v", data, err)
	}
	must(t, os.WriteFile(target+".new", []byte("secret\n"), 0o600))
	must(t, os.Rename(target+".new", target))
	if data, err := Read(target, have); err == nil {
		t.Errorf("Read = %q, want an error", data)
	}
}
