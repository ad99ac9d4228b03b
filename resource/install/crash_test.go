package install

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"pc4patroni/resource/internal/diskstep"
)

// A site is a target, the start from which it is replaced, and the log of a
// program that reads it: each reload appends what it read.
type site struct {
	dir, target string
	opts        Options
}

// Of different sizes, so that a crash while writing in place can leave a mixture.
var (
	oldData = bytes.Repeat([]byte("old\n"), 30_000)
	newData = bytes.Repeat([]byte("new!\n"), 20_000)
)

// starts are the ways in which a replacement can begin.
var starts = []struct {
	name    string
	opts    Options
	inPlace bool
	prepare func(t *testing.T, s site)
}{
	{"new", Options{Reload: true}, false, func(*testing.T, site) {}},
	{"replace", Options{Reload: true}, false, func(t *testing.T, s site) {
		put(t, s.target, string(oldData), Options{})
	}},
	{"backup", Options{Reload: true, Backup: true}, false, func(t *testing.T, s site) {
		must(t, os.WriteFile(s.target+".bak", []byte("older\n"), 0o600))
		put(t, s.target, string(oldData), Options{})
	}},
	{"takeover", Options{Reload: true}, false, func(t *testing.T, s site) {
		must(t, os.WriteFile(s.target, oldData, 0o600))
	}},
	{"pending", Options{Reload: true}, false, func(t *testing.T, s site) {
		put(t, s.target, string(oldData), Options{Reload: true})
	}},
	{"only the reload is pending", Options{Reload: true}, false, func(t *testing.T, s site) {
		put(t, s.target, string(newData), Options{Reload: true})
	}},
	{"in place", Options{Reload: true, Backup: true}, true, func(t *testing.T, s site) {
		mountTarget(t, s, oldData)
	}},
	{"in place, half written before", Options{Reload: true}, true, func(t *testing.T, s site) {
		mountTarget(t, s, oldData)
		must(t, os.WriteFile(filepath.Join(s.dir, reloadName("a.conf")), nil, 0o600))
		must(t, os.WriteFile(filepath.Join(s.dir, partialName("a.conf")), nil, 0o600))
	}},
}

func mountTarget(t *testing.T, s site, data []byte) {
	t.Helper()
	needRoot(t, "mount a file")
	source := filepath.Join(t.TempDir(), "source")
	must(t, os.WriteFile(source, data, 0o644))
	must(t, os.WriteFile(s.target, nil, 0o644))
	must(t, unix.Mount(source, s.target, "", unix.MS_BIND, ""))
	t.Cleanup(func() { must(t, unix.Unmount(s.target, unix.MNT_DETACH)) })
}

func newSite(t *testing.T, opts Options) site {
	dir := t.TempDir()
	return site{dir: dir, target: filepath.Join(dir, "a.conf"), opts: opts}
}

func (s site) reloads() string { return filepath.Join(s.dir, "reloads") }

// reconcile is what a program does with a target at its start.
func (s site) reconcile() error {
	if _, err := RemoveLeftovers(s.target); err != nil {
		return err
	}
	pending, err := PendingOf(s.target)
	if err != nil {
		return err
	}
	have, err := Stat(s.target)
	if err != nil {
		return err
	}
	want := wanting(string(newData))
	differs, err := Compare(s.target, have, want)
	if err != nil {
		return err
	}
	if differs {
		if _, err := tryPut(s.target, want, s.opts); err != nil {
			return err
		}
		pending = Reload
	}
	if pending != None {
		if err := do("reload", s.target, func() error { return nil }); err != nil {
			return err
		}
		data, err := os.ReadFile(s.target)
		if err != nil {
			return err
		}
		if err := os.WriteFile(s.reloads(), data, 0o600); err != nil {
			return err
		}
		if err := ClearPending(s.target); err != nil {
			return err
		}
	}
	return SyncDir(s.target)
}

// wantSound asserts what has to hold at any moment: the target is whole, or
// known not to be; what was replaced has its reload pending or done, and its
// copies made.
func (s site) wantSound(t *testing.T, inPlace bool) {
	t.Helper()
	data, err := os.ReadFile(s.target)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	pending, err := PendingOf(s.target)
	must(t, err)
	isNew := bytes.Equal(data, newData)
	if !isNew && data != nil && !bytes.Equal(data, oldData) && (!inPlace || pending != Partial) {
		t.Errorf("the file is neither old nor new: %d bytes, pending %v", len(data), pending)
	}
	loaded, _ := os.ReadFile(s.reloads())
	if isNew && pending == None && !bytes.Equal(loaded, newData) {
		t.Error("the reload is forgotten")
	}
	if s.opts.Backup && isNew {
		if copied, err := os.ReadFile(s.target + ".bak"); err != nil || !bytes.Equal(copied, oldData) {
			t.Errorf("the backup is not what was replaced: %d bytes, %v", len(copied), err)
		}
	}
	original, err := os.ReadFile(filepath.Join(s.dir, originalName("a.conf")))
	if err == nil && !bytes.Equal(original, oldData) {
		t.Errorf("the original has %d bytes", len(original))
	}
}

// wantRecovered reconciles and asserts that all is as if nothing had happened.
func (s site) wantRecovered(t *testing.T, start string) {
	t.Helper()
	process = fmt.Sprintf("%d-%s-", os.Getpid(), rand.Text()[:8]) // as after a restart
	must(t, s.reconcile())
	s.wantSound(t, false)
	if loaded, err := os.ReadFile(s.reloads()); err != nil || !bytes.Equal(loaded, newData) {
		t.Errorf("the reader does not have the new file: %d bytes, %v", len(loaded), err)
	}
	names := []string{"a.conf", "reloads"}
	if s.opts.Backup {
		names = append(names, "a.conf.bak")
	}
	if start == "takeover" || start == "in place" {
		names = append(names, originalName("a.conf"))
	}
	wantNames(t, s.dir, names...)
}

// A process that is killed at any step leaves a whole file, or one that is known
// not to be, and the next process does the rest.
func TestKilledAtEachStep(t *testing.T) {
	for _, start := range starts {
		t.Run(start.name, func(t *testing.T) {
			for n, killed := 1, true; killed; n++ {
				t.Run(strconv.Itoa(n), func(t *testing.T) {
					s := newSite(t, start.opts)
					start.prepare(t, s)
					cmd := exec.Command(os.Args[0])
					cmd.Env = append(os.Environ(), "INSTALL_TEST=killed", "TARGET="+s.target, fmt.Sprintf("STEP=%d", n), fmt.Sprintf("BACKUP=%v", s.opts.Backup))
					out, err := cmd.CombinedOutput()
					if killed = err != nil; killed {
						if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
							t.Fatalf("%v: %s", err, out)
						}
					} else if n < 4 {
						t.Fatalf("done after %d steps", n)
					}
					s.wantSound(t, start.inPlace)
					s.wantRecovered(t, start.name)
				})
			}
		})
	}
}

// A step that fails, alone or with others that follow, leaves the old file, and the
// next attempt succeeds.
func TestFailsAtEachStep(t *testing.T) {
	for _, start := range starts {
		for _, last := range []string{"one step", "all from there", "all data from there"} {
			t.Run(start.name+", "+last, func(t *testing.T) {
				for n, failed := 1, true; failed; n++ {
					t.Run(strconv.Itoa(n), func(t *testing.T) {
						s := newSite(t, start.opts)
						start.prepare(t, s)
						steps, failing := 0, ""
						setHook(t, func(what, _ string) error {
							steps++
							isData := what == "write" || what == "truncate" || what == "sync"
							if steps == n || steps > n && (last == "all from there" || last == "all data from there" && isData) {
								failing = what
								return unix.EIO
							}
							return nil
						})
						err := s.reconcile()
						diskstep.Hook = nil
						failed = steps >= n
						if failed && err == nil && !strings.HasPrefix(failing, "remove") {
							t.Errorf("%s failed and was not reported", failing)
						}
						if err != nil && !errors.Is(err, unix.EIO) {
							t.Errorf("err = %v, want EIO", err)
						}
						s.wantSound(t, start.inPlace)
						s.wantRecovered(t, start.name)
					})
				}
			})
		}
	}
}

func setHook(t *testing.T, f func(what, path string) error) {
	diskstep.Hook = f
	t.Cleanup(func() { diskstep.Hook = nil })
}

// TestMain runs as one of the processes that tests kill or let contend, if the
// environment says so.
func TestMain(m *testing.M) {
	target := os.Getenv("TARGET")
	var err error
	switch os.Getenv("INSTALL_TEST") {
	case "":
		os.Exit(m.Run())
	case "killed":
		last, _ := strconv.Atoi(os.Getenv("STEP"))
		diskstep.Hook = func(string, string) error {
			if last--; last == 0 {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
			return nil
		}
		s := site{dir: filepath.Dir(target), target: target, opts: Options{Reload: true, Backup: os.Getenv("BACKUP") == "true"}}
		err = s.reconcile()
	case "contending":
		err = contend(target)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}
