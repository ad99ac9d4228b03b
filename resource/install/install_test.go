package install

import (
	"os"
	"path/filepath"
	"testing"
)

// put stages and installs data at target.
func put(t *testing.T, target, data string, opts Options) Result {
	t.Helper()
	result, err := tryPut(target, Want{Data: []byte(data), UID: Keep, GID: Keep, Mode: Keep}, opts)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func tryPut(target string, want Want, opts Options) (Result, error) {
	have, err := Stat(target)
	if err != nil {
		return Result{}, err
	}
	staged, err := Stage(target, have, want)
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

func TestInstall(t *testing.T) {
	target := filepath.Join(t.TempDir(), "a.conf")
	put(t, target, "one\n", Options{Reload: true})
	if got, _ := PendingOf(target); got != Reload {
		t.Errorf("pending = %v, want Reload", got)
	}
	if err := ClearPending(target); err != nil {
		t.Error(err)
	}
	result := put(t, target, "two\n", Options{Backup: true})
	if now, err := Stat(target); err != nil || now != result.State {
		t.Errorf("state = %+v, %v, want %+v", now, err, result.State)
	}
	if got := read(t, target); got != "two\n" {
		t.Errorf("content = %q", got)
	}
	if got := read(t, target+".bak"); got != "one\n" {
		t.Errorf("backup = %q", got)
	}
	if differs, err := Compare(target, result.State, Want{Data: []byte("two\n"), UID: Keep, GID: Keep, Mode: Keep}); differs || err != nil {
		t.Errorf("Compare = %v, %v", differs, err)
	}
	entries, err := os.ReadDir(filepath.Dir(target))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if name := entry.Name(); name != "a.conf" && name != "a.conf.bak" {
			t.Errorf("left behind: %s", name)
		}
	}
}
