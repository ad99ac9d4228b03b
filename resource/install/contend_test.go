package install

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// contend replaces target again and again.
func contend(target string) error {
	want := wanting(string(bytes.Repeat([]byte(os.Getenv("TEXT")+"\n"), 20_000)))
	installed := 0
	for range 400 {
		_, err := tryPut(target, want, Options{Reload: true})
		switch {
		case err == nil:
			installed++
		case !errors.Is(err, ErrContended):
			return err
		}
	}
	if installed == 0 {
		return errors.New("never installed")
	}
	return nil
}

// Two processes that replace one target all the time: a reader never sees half
// a file, or one of neither.
func TestTwoProcesses(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "a.conf")
	must(t, os.WriteFile(target, nil, 0o644))
	done := make(chan error)
	texts := []string{"one", "another"}
	for _, text := range texts {
		go func() {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), "INSTALL_TEST=contending", "TARGET="+target, "TEXT="+text)
			out, err := cmd.CombinedOutput()
			if err != nil {
				err = fmt.Errorf("%w: %s", err, out)
			}
			done <- err
		}()
	}
	for running := len(texts); running > 0; {
		select {
		case err := <-done:
			running--
			if err != nil {
				t.Error(err)
			}
		default:
		}
		data, err := os.ReadFile(target)
		must(t, err)
		line, _, _ := bytes.Cut(data, []byte("\n"))
		if len(data) > 0 && (!bytes.Equal(data, bytes.Repeat(append(line, '\n'), 20_000)) || string(line) != "one" && string(line) != "another") {
			t.Fatalf("a reader sees %d bytes of %q", len(data), line)
		}
	}
	_, err := RemoveStaged(target)
	must(t, err)
	wantNames(t, dir, "a.conf", reloadName("a.conf"))
}

// A staged file that another process replaced, at any moment before it is
// renamed over the target, is not installed, and nothing is changed.
func TestStagedFileIsTaken(t *testing.T) {
	for _, moment := range []string{"close", "claim", "rename"} {
		t.Run(moment, func(t *testing.T) {
			dir := t.TempDir()
			target := filepath.Join(dir, "a.conf")
			put(t, target, "old\n", Options{})
			setHook(t, func(step string) error {
				if step == moment {
					hook = nil
					if _, err := RemoveStaged(target); err != nil { // the other one starts
						return err
					}
					return os.WriteFile(filepath.Join(dir, stagedName("a.conf")), []byte("ha"), 0o600) // and has written half
				}
				return nil
			})
			if _, err := tryPut(target, wanting("new\n"), Options{}); !errors.Is(err, ErrContended) {
				t.Errorf("err = %v, want ErrContended", err)
			}
			if got := read(t, target); got != "old\n" {
				t.Errorf("the file is %q", got)
			}
		})
	}
}

func TestFullDisk(t *testing.T) {
	needRoot(t, "mount a small file system")
	dir := t.TempDir()
	must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"))
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	target := filepath.Join(dir, "a.conf")
	old := string(bytes.Repeat([]byte("old\n"), 8_000))
	put(t, target, old, Options{})
	_, err := tryPut(target, wanting(string(bytes.Repeat([]byte("new\n"), 16_000))), Options{Reload: true})
	want := fmt.Sprintf("write %s: no space left on device: make room in %s", filepath.Join(dir, stagedName("a.conf")), dir)
	if err == nil || err.Error() != want {
		t.Errorf("err = %v, want %s", err, want)
	}
	// Room for the new file, but none for a backup of the old one.
	if _, err := tryPut(target, wanting(string(bytes.Repeat([]byte("new\n"), 4_000))), Options{Reload: true, Backup: true}); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("err = %v, want ENOSPC", err)
	}
	if got := read(t, target); got != old {
		t.Errorf("the file has %d bytes now", len(got))
	}
	if pending, err := PendingOf(target); pending != None || err != nil {
		t.Errorf("pending = %v, %v", pending, err)
	}
	wantNames(t, dir, "a.conf")
}
