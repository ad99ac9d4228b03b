package main_test

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// The faults in this file are those of dest, its directory and its file system.

// mount mounts something over a path until the end of the test. The flags and options are
// those of mount(2).
func mount(t *testing.T, source, target, kind string, flags uintptr, options string) {
	t.Helper()
	needRoot(t, "mount")
	if err := syscall.Mount(source, target, kind, flags, options); err != nil {
		lack(t, fmt.Sprintf("mounting is not permitted here (%v)", err))
	}
	forget := undertaker.watch(t, "umount -l "+target)
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
	real := filepath.Join(h.dir, "elsewhere", "real.conf")
	write(t, "before\n", real)
	if err := os.Symlink("../elsewhere/real.conf", h.dest("main")); err != nil {
		t.Fatal(err)
	}
	h.declare(declared{name: "main"})
	h.put(led("db1")...)
	h.start()
	h.awaitTold("main", db1)
	h.put("/leader", "db2")
	h.awaitTold("main", db2)
	h.stop()
	h.toldExactly("main", db1, db2)
	if target, err := os.Readlink(h.dest("main")); err != nil || target != "../elsewhere/real.conf" {
		t.Errorf("the link now is %q, %v", target, err)
	}
	h.fileIs(real, db2+"\n")
	entries, err := os.ReadDir(filepath.Dir(real))
	if err != nil || len(entries) != 1 {
		t.Errorf("beside the target of the link lie %v, %v", entries, err)
	}
}

// faultBindMount has a file that is mounted into place, as containers have: no rename is
// possible, and the outside must see the change.
func faultBindMount(t *testing.T, h *host) {
	needRoot(t, "mount")
	outside := write(t, "before, and longer than what comes after it\n", h.dir, "outside.conf")
	write(t, "", h.dest("main"))
	mount(t, outside, h.dest("main"), "", syscall.MS_BIND, "")
	h.declare(declared{name: "main"})
	h.put(led("db1")...)
	h.start()
	h.awaitTold("main", db1)
	h.put("/leader", "db2")
	h.awaitTold("main", db2)
	h.stop()
	h.toldExactly("main", db1, db2)
	h.fileIs(outside, db2+"\n")
	h.logged("mount point", 1)
}

// faultOverwritten has somebody edit the file by hand: a heartbeat notices, and where no
// key changes the interval does.
func faultOverwritten(t *testing.T, h *host) {
	h.declare(declared{name: "main", extra: `mode = "0640"`})
	h.put(led("db1")...)
	h.start()
	h.awaitTold("main", db1)
	write(t, "edited\n", h.dest("main"))
	h.put("/members/db1", memberAt("10.0.0.1", 2000))
	h.awaitToldTimes("main", 2)
	h.stop()

	h.start("-interval", "1s")
	for times := 3; times < 6; times++ {
		switch times {
		case 3:
			// As long as the right content, and as old.
			info, err := os.Stat(h.dest("main"))
			if err != nil {
				t.Fatal(err)
			}
			write(t, strings.Replace(db1, "10.0.0.1", "10.6.6.6", 1)+"\n", h.dest("main"))
			if err := os.Chtimes(h.dest("main"), info.ModTime(), info.ModTime()); err != nil {
				t.Fatal(err)
			}
		case 4:
			if err := os.Chmod(h.dest("main"), 0o666); err != nil {
				t.Fatal(err)
			}
		case 5:
			if err := os.Remove(h.dest("main")); err != nil {
				t.Fatal(err)
			}
		}
		h.awaitToldTimes("main", times)
	}
	h.awaitTold("main", db1)
	h.stop()
	h.toldExactly("main", db1, db1, db1, db1, db1)
	if info, err := os.Stat(h.dest("main")); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the mode of dest is %v, %v", info.Mode(), err)
	}
}

// faultReadOnly has the file system read-only when a change comes. It is put right without
// another change.
func faultReadOnly(t *testing.T, h *host) {
	mount(t, "tmpfs", h.out, "tmpfs", 0, "size=1m")
	h.declare(declared{name: "main"})
	h.put(led("db1")...)
	h.start()
	h.awaitTold("main", db1)
	remount(t, h.out, syscall.MS_RDONLY, "")
	h.put("/leader", "db2")
	h.awaitLog("resource failed", 1)
	h.put("/members/db1", memberAt("10.0.0.1", 2000))
	h.fileIs(h.dest("main"), db1+"\n")
	remount(t, h.out, 0, "")
	h.awaitTold("main", db2)
	h.stop()
	h.toldExactly("main", db1, db2)
	h.logged("resource failed", 1)
	h.logged("read-only file system", 2) // once when it fails, once when it recovers
}

// faultDiskFull has no room for the staged file.
func faultDiskFull(t *testing.T, h *host) {
	mount(t, "tmpfs", h.out, "tmpfs", 0, "size=256k")
	const long = lineTemplate + `{{range seq 1 2000}}{{getv "/leader"}} and so on {{.}}` + "\n{{end}}"
	h.declare(declared{name: "main", template: long, reload: "head -n 1 {{.dest}} >>" + h.toldFile("main")})
	h.put(led("db1")...)
	h.start()
	awaitTold := func(line string) {
		h.await("the proxy is told", func() error {
			if told := h.told("main"); told[len(told)-1] != line || len(h.litter()) > 0 {
				return fmt.Errorf("told %q last, %q left", told[len(told)-1], h.litter())
			}
			return nil
		})
	}
	awaitTold(db1)
	before := read(t, h.dest("main"))
	fill := filepath.Join(h.out, "fill")
	if err := os.WriteFile(fill, make([]byte, 256<<10), 0o644); err == nil {
		t.Fatal("the tmpfs cannot be filled")
	}
	h.put("/leader", "db2")
	h.awaitLog("resource failed", 1)
	h.awaitLog("no space left on device", 1)
	h.fileIs(h.dest("main"), before)
	if litter := h.litter(); len(litter) > 0 {
		t.Errorf("with the disk full there lies %q", litter)
	}
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	awaitTold(db2)
	h.fileIs(h.dest("main"), strings.ReplaceAll(strings.ReplaceAll(before, "db1", "db2"), "10.0.0.1", "10.0.0.2"))
	h.stop()
	h.toldExactly("main", db1, db2)
}

// faultNoRoomForMark has room for the staged file but not for one more: a file must not be
// installed where a crash could then lose its reload.
func faultNoRoomForMark(t *testing.T, h *host) {
	// The directory, dest and either the staged file or the mark.
	mount(t, "tmpfs", h.out, "tmpfs", 0, "nr_inodes=3")
	h.declare(declared{name: "main"})
	h.put(led("db1")...)
	h.start()
	h.awaitTold("main", db1)
	h.put("/leader", "db2")
	h.awaitLog("mark the reload as owed", 1)
	h.fileIs(h.dest("main"), db1+"\n")
	h.toldExactly("main", db1)
	remount(t, h.out, 0, "nr_inodes=10")
	h.awaitTold("main", db2)
	h.stop()
	h.toldExactly("main", db1, db2)
}

// faultOwner gives files to a user by name, and keeps the owner where none is named.
func faultOwner(t *testing.T, h *host) {
	needRoot(t, "give files away")
	nobody, err := user.Lookup("nobody")
	if err != nil {
		lack(t, "there is no user nobody")
	}
	group, err := user.LookupGroupId(nobody.Gid)
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(nobody.Uid)
	gid, _ := strconv.Atoi(nobody.Gid)
	h.declare(declared{name: "named", extra: fmt.Sprintf("owner = \"nobody\"\ngroup = %q\nmode = \"0600\"", group.Name)})
	h.declare(declared{name: "kept"})
	write(t, "before\n", h.dest("kept"))
	if err := os.Chown(h.dest("kept"), uid, gid); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(h.dest("kept"), 0o604); err != nil {
		t.Fatal(err)
	}
	h.put(led("db1")...)
	h.start()
	for _, step := range []struct{ leader, line string }{{"db1", db1}, {"db2", db2}} {
		h.put("/leader", step.leader)
		for name, mode := range map[string]os.FileMode{"named": 0o600, "kept": 0o604} {
			h.awaitTold(name, step.line)
			info, err := os.Stat(h.dest(name))
			if err != nil {
				t.Fatal(err)
			}
			stat := info.Sys().(*syscall.Stat_t)
			if int(stat.Uid) != uid || int(stat.Gid) != gid || info.Mode() != mode {
				t.Errorf("%s belongs to %d:%d with mode %v, want %d:%d and %v", name, stat.Uid, stat.Gid, info.Mode(), uid, gid, mode)
			}
		}
	}
	h.stop()
}
