package install

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestResolve(t *testing.T) {
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "root/sub"), 0o755))
	root := filepath.Join(dir, "root")
	for name, to := range map[string]string{
		"relative": "sub/target", "absolute": "/etc/target", "chain": "relative", "loop": "loop", "out": "../../target",
		"parent": "sub", "outparent": "..", "host": "/etc", "sub/up": "../sub/../sub/x",
	} {
		must(t, os.Symlink(to, filepath.Join(root, name)))
	}
	tests := []struct{ name, root, want, err string }{
		{"plain", "", "ROOT/plain", ""},
		{"missing/a/b", "", "ROOT/missing/a/b", ""},
		{"relative", "", "ROOT/sub/target", ""},
		{"relative", root, "ROOT/sub/target", ""},
		{"chain", "", "ROOT/sub/target", ""},
		{"sub/up", root, "ROOT/sub/x", ""},
		{"parent/a", root, "ROOT/sub/a", ""},
		{"absolute", "", "/etc/target", ""},
		{"absolute", root, "ROOT/etc/target", ""},
		{"host/passwd", root, "ROOT/etc/passwd", ""},
		{"out", root, "", "ROOT/out is a symbolic link that leads out of ROOT"},
		{"outparent/a", root, "", "ROOT/outparent/a is a symbolic link that leads out of ROOT"},
		{"loop", "", "", "ROOT/loop: too many levels of symbolic links"},
		{"../beside", root, "", "DIR/beside is not below ROOT"},
	}
	text := func(s string) string {
		return strings.ReplaceAll(strings.ReplaceAll(s, root, "ROOT"), dir, "DIR")
	}
	for _, tt := range tests {
		got, err := Resolve(filepath.Join(root, tt.name), tt.root)
		msg := ""
		if err != nil {
			msg = text(err.Error())
		}
		if text(got) != tt.want || msg != tt.err {
			t.Errorf("Resolve(%s, %q) = %q, %q, want %q, %q", tt.name, text(tt.root), text(got), msg, tt.want, tt.err)
		}
	}
}

// Whatever links there are below a root, nothing leads out of it, and the result
// has no link on its way.
func FuzzResolve(f *testing.F) {
	f.Add("a/b", "../..", "/etc", "a/b/c")
	f.Add("/x/../..", "/", "..", "c/a")
	f.Add("b", "c", "a", "a")
	f.Add("../root/b", "./.", "/a/../..", "a/c/b")
	f.Fuzz(func(t *testing.T, a, b, c, dest string) {
		root := filepath.Join(t.TempDir(), "root")
		must(t, os.MkdirAll(filepath.Join(root, "d"), 0o755))
		for name, to := range map[string]string{"a": a, "b": b, "d/c": c} {
			if os.Symlink(to, filepath.Join(root, name)) != nil {
				t.Skip("no link can have this text")
			}
		}
		got, err := Resolve(filepath.Join(root, dest), root)
		if err != nil {
			return
		}
		if got != root && !strings.HasPrefix(got, root+"/") {
			t.Fatalf("Resolve leads to %q", got)
		}
		for at := got; at != root; at = filepath.Dir(at) {
			if info, err := os.Lstat(at); err == nil && info.Mode()&os.ModeSymlink != 0 {
				t.Fatalf("Resolve = %q, and %q is a link", got, at)
			}
		}
	})
}

// Nobody untrusted can lead root elsewhere with a symbolic link.
func TestPlantedLink(t *testing.T) {
	needRoot(t, "own files of others")
	dir := t.TempDir()
	theirs := filepath.Join(dir, "theirs")
	must(t, os.MkdirAll(filepath.Join(theirs, "sub"), 0o755))
	for link, to := range map[string]string{"a.conf": "/etc/passwd", "sub2": "/etc"} {
		must(t, os.Symlink(to, filepath.Join(theirs, link)))
	}
	must(t, os.Lchown(filepath.Join(theirs, "a.conf"), nobody, nobody))
	for _, step := range []string{"the link is theirs", "the directory is theirs"} {
		_, err := Resolve(filepath.Join(theirs, "a.conf"), "")
		if err == nil || !strings.Contains(err.Error(), "user nobody controls") {
			t.Errorf("%s: err = %v", step, err)
		}
		must(t, os.Lchown(filepath.Join(theirs, "a.conf"), 0, 0))
		must(t, os.Chown(theirs, nobody, nobody))
	}
	if _, err := Resolve(filepath.Join(theirs, "sub2/passwd"), ""); err == nil {
		t.Error("a planted link of a parent directory was followed")
	}
	// Exchanged after Resolve.
	target, err := Resolve(filepath.Join(theirs, "sub/a"), "")
	must(t, err)
	victim := filepath.Join(dir, "victim")
	must(t, os.Mkdir(victim, 0o755))
	must(t, os.Remove(filepath.Join(theirs, "sub")))
	must(t, os.Symlink(victim, filepath.Join(theirs, "sub")))
	if _, err := Stage(target, wanting("x")); err == nil {
		t.Error("staged through a link")
	}
	if err := SetPending(target); err == nil {
		t.Error("marked through a link")
	}
	if err := MakeDirs(filepath.Join(target, "b", "c")); err == nil {
		t.Error("made directories through a link")
	}
	wantNames(t, victim)
}

// Links, hard links and pipes planted under the names that we use are neither
// followed nor written, and block nobody.
func TestPlantedNames(t *testing.T) {
	plants := map[string]func(path, victim string) error{
		"symbolic link": func(path, victim string) error { return os.Symlink(victim, path) },
		"link to nothing": func(path, victim string) error {
			return os.Symlink(victim+"-new", path)
		},
		"hard link": func(path, victim string) error { return os.Link(victim, path) },
		"pipe":      func(path, _ string) error { return unix.Mkfifo(path, 0o644) },
	}
	for what, plant := range plants {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			victim, target := filepath.Join(dir, "victim"), filepath.Join(dir, "a.conf")
			must(t, os.WriteFile(victim, []byte("precious\n"), 0o600))
			must(t, os.WriteFile(target, []byte("old\n"), 0o600))
			for _, name := range []string{stagedName("a.conf"), stagedName("a.conf.bak"), backupName("a.conf"),
				reloadName("a.conf"), stagedName(originalName("a.conf"))} {
				must(t, plant(filepath.Join(dir, name), victim))
			}
			done := make(chan bool)
			go func() {
				defer close(done)
				if _, err := PendingOf(target); err != nil {
					t.Error(err)
				}
				if _, err := tryPut(target, wanting("new\n"), Options{Reload: true, Backup: true}); err != nil {
					t.Error(err)
				}
				if err := ClearPending(target); err != nil {
					t.Error(err)
				}
			}()
			select {
			case <-done:
			case <-time.After(20 * time.Second):
				t.Fatal("it hangs")
			}
			if got := read(t, victim); got != "precious\n" {
				t.Errorf("the victim is %q now", got)
			}
			if read(t, target) != "new\n" || read(t, target+".bak") != "old\n" {
				t.Error("the file or its backup is not what it should be")
			}
			wantNames(t, dir, "victim", "a.conf", "a.conf.bak", originalName("a.conf"))
		})
	}
}
