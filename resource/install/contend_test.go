package install

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// contend replaces target again and again.
func contend(target string) error {
	want := wanting(string(bytes.Repeat([]byte(os.Getenv("TEXT")+"\n"), 20_000)))
	for range 400 {
		if _, err := tryPut(target, want, Options{Reload: true}); err != nil {
			return err
		}
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
	wantNames(t, dir, "a.conf", reloadName("a.conf"))
}

// Only the staged files of processes that have ended are removed from a
// directory; a process whose file is removed all the same changes nothing.
func TestRemoveLeftovers(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "a.conf")
	put(t, target, "old\n", Options{})
	cmd := exec.Command("true")
	must(t, cmd.Run())
	ended := cmd.Process.Pid
	for _, name := range []string{
		fmt.Sprintf(".pc4patroni-%d-ABCDEFGH-a.conf", ended),
		fmt.Sprintf(".pc4patroni-%d-ABCDEFGH-other.conf", ended),
		fmt.Sprintf(".pc4patroni-%d-ABCDEFGH-a.conf", os.Getpid()), // its process had our ID before us, in a container that was restarted
		".pc4patroni-1-ABCDEFGH-a.conf",
		".pc4patroni-notes",
	} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte("half"), 0o600))
	}
	staged, err := Stage(target, wanting("new\n"))
	must(t, err)
	if removed, err := RemoveLeftovers(target); removed != 3 || err != nil {
		t.Errorf("removed %d, %v, want 3", removed, err)
	}
	wantNames(t, dir, "a.conf", ".pc4patroni-1-ABCDEFGH-a.conf", ".pc4patroni-notes", filepath.Base(staged.Path()))
	must(t, os.Remove(staged.Path()))
	if _, err := staged.Install(Options{Reload: true}); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "another process has removed the staged file") {
		t.Errorf("err = %v, want ErrNotExist with an explanation", err)
	}
	if pending, err := PendingOf(target); read(t, target) != "old\n" || pending != None || err != nil {
		t.Errorf("the file is %q, pending %v, %v", read(t, target), pending, err)
	}
	if removed, err := RemoveLeftovers(filepath.Join(dir, "none/a.conf")); removed != 0 || err != nil {
		t.Errorf("without a directory: %d, %v", removed, err)
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
	want := fmt.Sprintf("stage %s: no space left on device: make room in %s", target, dir)
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
