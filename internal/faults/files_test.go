package faults

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"pc4patroni/internal/proctest"
)

// The faults in this file are those of dest, its directory and its file system.

// mount mounts something over a path until the end of the test. The flags and options are
// those of mount(2).
func mount(t *testing.T, source, target, kind string, flags uintptr, options string) {
	t.Helper()
	proctest.NeedRoot(t, "mount")
	if err := syscall.Mount(source, target, kind, flags, options); err != nil {
		proctest.Lack(t, fmt.Sprintf("mounting is not permitted here (%v)", err))
	}
	forget := proctest.Undertaker.Watch(t, "umount -l "+target)
	t.Cleanup(func() {
		if err := syscall.Unmount(target, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", target, err)
		}
		forget()
	})
}

// remount changes the options of a tmpfs.
func remount(t *testing.T, target string, flags uintptr, options string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", target, "tmpfs", syscall.MS_REMOUNT|flags, options); err != nil {
		t.Fatalf("remount %s: %v", target, err)
	}
}

// faultSymlink has a dest that points elsewhere, as alternatives do.
func faultSymlink(t *testing.T, h *host) {
	real := filepath.Join(h.Dir, "elsewhere", "real.conf")
	proctest.Write(t, "before\n", real)
	if err := os.Symlink("../elsewhere/real.conf", h.Dest("main")); err != nil {
		t.Fatal(err)
	}
	h.Declare(proctest.Declared{Name: "main"})
	h.Put(proctest.Led("db1")...)
	h.Start()
	h.AwaitTold("main", proctest.Db1)
	h.Put("/leader", "db2")
	h.AwaitTold("main", proctest.Db2)
	h.Stop()
	h.ToldExactly("main", proctest.Db1, proctest.Db2)
	if target, err := os.Readlink(h.Dest("main")); err != nil || target != "../elsewhere/real.conf" {
		t.Errorf("the link now is %q, %v", target, err)
	}
	h.FileIs(real, proctest.Db2+"\n")
	entries, err := os.ReadDir(filepath.Dir(real))
	if err != nil || len(entries) != 2 { // and a copy of what was there before
		t.Errorf("beside the target of the link lie %v, %v", entries, err)
	}
}

// faultBindMount has a file that is mounted into place, as containers have: no rename is
// possible, and the outside must see the change.
func faultBindMount(t *testing.T, h *host) {
	proctest.NeedRoot(t, "mount")
	outside := proctest.Write(t, "before, and longer than what comes after it\n", h.Dir, "outside.conf")
	proctest.Write(t, "", h.Dest("main"))
	mount(t, outside, h.Dest("main"), "", syscall.MS_BIND, "")
	h.Declare(proctest.Declared{Name: "main"})
	h.Put(proctest.Led("db1")...)
	h.Start()
	h.AwaitTold("main", proctest.Db1)
	h.Put("/leader", "db2")
	h.AwaitTold("main", proctest.Db2)
	h.Stop()
	h.ToldExactly("main", proctest.Db1, proctest.Db2)
	h.FileIs(outside, proctest.Db2+"\n")
	h.Logged("mount point", 1)
}

// faultOverwritten has somebody edit the file by hand: a heartbeat notices, and where no
// key changes the interval does.
func faultOverwritten(t *testing.T, h *host) {
	h.Declare(proctest.Declared{Name: "main", Extra: `mode = "0640"`})
	h.Put(proctest.Led("db1")...)
	h.Start()
	h.AwaitTold("main", proctest.Db1)
	proctest.Write(t, "edited\n", h.Dest("main"))
	h.Put("/members/db1", proctest.MemberAt("10.0.0.1", 2000))
	h.AwaitToldTimes("main", 2)
	h.Stop()

	h.Start("-interval", "1s")
	for times := 3; times < 6; times++ {
		switch times {
		case 3:
			// As long as the right content, and as old.
			info, err := os.Stat(h.Dest("main"))
			if err != nil {
				t.Fatal(err)
			}
			proctest.Write(t, strings.Replace(proctest.Db1, "10.0.0.1", "10.6.6.6", 1)+"\n", h.Dest("main"))
			if err := os.Chtimes(h.Dest("main"), info.ModTime(), info.ModTime()); err != nil {
				t.Fatal(err)
			}
		case 4:
			if err := os.Chmod(h.Dest("main"), 0o666); err != nil {
				t.Fatal(err)
			}
		case 5:
			if err := os.Remove(h.Dest("main")); err != nil {
				t.Fatal(err)
			}
		}
		h.AwaitToldTimes("main", times)
	}
	h.AwaitTold("main", proctest.Db1)
	h.Stop()
	h.ToldExactly("main", proctest.Db1, proctest.Db1, proctest.Db1, proctest.Db1, proctest.Db1)
	if info, err := os.Stat(h.Dest("main")); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the mode of dest is %v, %v", info.Mode(), err)
	}
}

// faultReadOnly has the file system read-only when a change comes. It is put right without
// another change.
func faultReadOnly(t *testing.T, h *host) {
	mount(t, "tmpfs", h.Out, "tmpfs", 0, "size=1m")
	h.Declare(proctest.Declared{Name: "main"})
	h.Put(proctest.Led("db1")...)
	h.Start()
	h.AwaitTold("main", proctest.Db1)
	remount(t, h.Out, syscall.MS_RDONLY, "")
	h.Put("/leader", "db2")
	h.AwaitLog("resource failed", 1)
	h.Put("/members/db1", proctest.MemberAt("10.0.0.1", 2000))
	h.FileIs(h.Dest("main"), proctest.Db1+"\n")
	remount(t, h.Out, 0, "")
	h.AwaitTold("main", proctest.Db2)
	h.Stop()
	h.ToldExactly("main", proctest.Db1, proctest.Db2)
	h.Logged("resource failed", 1)
	h.Logged("read-only file system", 2) // once when it fails, once when it recovers
}

// faultDiskFull has no room for the staged file.
func faultDiskFull(t *testing.T, h *host) {
	mount(t, "tmpfs", h.Out, "tmpfs", 0, "size=256k")
	const long = proctest.LineTemplate + `{{range seq 1 2000}}{{getv "/leader"}} and so on {{.}}` + "\n{{end}}"
	h.Declare(proctest.Declared{Name: "main", Template: long, Reload: "head -n 1 {{.dest}} >>" + h.ToldFile("main")})
	h.Put(proctest.Led("db1")...)
	h.Start()
	awaitTold := func(line string) {
		h.Await("the proxy is told", func() error {
			if told := h.Told("main"); told[len(told)-1] != line || len(h.Litter()) > 0 {
				return fmt.Errorf("told %q last, %q left", told[len(told)-1], h.Litter())
			}
			return nil
		})
	}
	awaitTold(proctest.Db1)
	before := proctest.Read(t, h.Dest("main"))
	fill := filepath.Join(h.Out, "fill")
	if err := os.WriteFile(fill, make([]byte, 256<<10), 0o644); err == nil {
		t.Fatal("the tmpfs cannot be filled")
	}
	h.Put("/leader", "db2")
	h.AwaitLog("resource failed", 1)
	h.AwaitLog("no space left on device", 1)
	h.FileIs(h.Dest("main"), before)
	if litter := h.Litter(); len(litter) > 0 {
		t.Errorf("with the disk full there lies %q", litter)
	}
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	awaitTold(proctest.Db2)
	h.FileIs(h.Dest("main"), strings.ReplaceAll(strings.ReplaceAll(before, "db1", "db2"), "10.0.0.1", "10.0.0.2"))
	h.Stop()
	h.ToldExactly("main", proctest.Db1, proctest.Db2)
}

// faultNoRoomForMark has room for the staged file but not for one more: a file must not be
// installed where a crash could then lose its reload.
func faultNoRoomForMark(t *testing.T, h *host) {
	// The directory, dest with its attribute, and either the staged file or the marker.
	mount(t, "tmpfs", h.Out, "tmpfs", 0, "nr_inodes=4")
	h.Declare(proctest.Declared{Name: "main"})
	h.Put(proctest.Led("db1")...)
	h.Start()
	h.AwaitTold("main", proctest.Db1)
	h.Put("/leader", "db2")
	h.AwaitLog("mark the reload as pending", 1)
	h.FileIs(h.Dest("main"), proctest.Db1+"\n")
	h.ToldExactly("main", proctest.Db1)
	remount(t, h.Out, 0, "nr_inodes=10")
	h.AwaitTold("main", proctest.Db2)
	h.Stop()
	h.ToldExactly("main", proctest.Db1, proctest.Db2)
}

// faultOwner gives files to a user by name, and keeps the owner where none is named.
func faultOwner(t *testing.T, h *host) {
	proctest.NeedRoot(t, "give files away")
	nobody, err := user.Lookup("nobody")
	if err != nil {
		proctest.Lack(t, "there is no user nobody")
	}
	group, err := user.LookupGroupId(nobody.Gid)
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(nobody.Uid)
	gid, _ := strconv.Atoi(nobody.Gid)
	h.Declare(proctest.Declared{Name: "named", Extra: fmt.Sprintf("owner = \"nobody\"\ngroup = %q\nmode = \"0600\"", group.Name)})
	h.Declare(proctest.Declared{Name: "kept"})
	proctest.Write(t, "before\n", h.Dest("kept"))
	if err := os.Chown(h.Dest("kept"), uid, gid); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(h.Dest("kept"), 0o604); err != nil {
		t.Fatal(err)
	}
	h.Put(proctest.Led("db1")...)
	h.Start()
	for _, step := range []struct{ leader, line string }{{"db1", proctest.Db1}, {"db2", proctest.Db2}} {
		h.Put("/leader", step.leader)
		for name, mode := range map[string]os.FileMode{"named": 0o600, "kept": 0o604} {
			h.AwaitTold(name, step.line)
			info, err := os.Stat(h.Dest(name))
			if err != nil {
				t.Fatal(err)
			}
			stat := info.Sys().(*syscall.Stat_t)
			if int(stat.Uid) != uid || int(stat.Gid) != gid || info.Mode() != mode {
				t.Errorf("%s belongs to %d:%d with mode %v, want %d:%d and %v", name, stat.Uid, stat.Gid, info.Mode(), uid, gid, mode)
			}
		}
	}
	h.Stop()
}
