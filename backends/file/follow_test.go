package file

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pc4patroni/backends"
)

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func symlink(t *testing.T, target, link string) {
	t.Helper()
	if err := os.Symlink(target, link+".new"); err != nil {
		t.Fatal(err)
	}
	rename(t, link+".new", link)
}

// expect waits for one batch of changes.
func expect(t *testing.T, changes <-chan []backends.Change, want ...backends.Change) {
	t.Helper()
	select {
	case got := <-changes:
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
	case <-time.After(60 * time.Second):
		t.Fatal("no change came")
	}
}

// TestFollowWaysToReplaceAFile does what editors, Kubernetes and administrators
// do to a file.
func TestFollowWaysToReplaceAFile(t *testing.T) {
	for _, tt := range []struct {
		name    string
		prepare func(t *testing.T, dir string) (file string)
		change  func(t *testing.T, dir string)
	}{
		{"written in place", func(t *testing.T, dir string) string {
			return filepath.Join(dir, "keys.json")
		}, func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "keys.json"), `{"/app/a": "2"}`)
		}},
		{"renamed over", func(t *testing.T, dir string) string {
			return filepath.Join(dir, "keys.json")
		}, func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "keys.json~"), `{"/app/a": "2"}`)
			rename(t, filepath.Join(dir, "keys.json~"), filepath.Join(dir, "keys.json"))
		}},
		{"removed and made again", func(t *testing.T, dir string) string {
			return filepath.Join(dir, "keys.json")
		}, func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "keys.json")); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, "keys.json"), `{"/app/a": "2"}`)
		}},
		{"a link to a file that is written to", func(t *testing.T, dir string) string {
			mkdir(t, filepath.Join(dir, "far"))
			write(t, filepath.Join(dir, "far", "keys.json"), `{"/app/a": "1"}`)
			symlink(t, "far/keys.json", filepath.Join(dir, "link.json"))
			return filepath.Join(dir, "link.json")
		}, func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "far", "keys.json"), `{"/app/a": "2"}`)
		}},
		{"a config map of Kubernetes", func(t *testing.T, dir string) string {
			for _, version := range []string{"1", "2"} {
				mkdir(t, filepath.Join(dir, "..v"+version))
				write(t, filepath.Join(dir, "..v"+version, "map.json"), `{"/app/a": "`+version+`"}`)
			}
			symlink(t, "..v1", filepath.Join(dir, "..data"))
			symlink(t, "..data/map.json", filepath.Join(dir, "map.json"))
			return filepath.Join(dir, "map.json")
		}, func(t *testing.T, dir string) {
			symlink(t, "..v2", filepath.Join(dir, "..data"))
		}},
		{"a link to a folder on the way", func(t *testing.T, dir string) string {
			for _, version := range []string{"1", "2"} {
				mkdir(t, filepath.Join(dir, version))
				write(t, filepath.Join(dir, version, "keys.json"), `{"/app/a": "`+version+`"}`)
			}
			symlink(t, filepath.Join(dir, "1"), filepath.Join(dir, "current"))
			return filepath.Join(dir, "current", "keys.json")
		}, func(t *testing.T, dir string) {
			symlink(t, "2", filepath.Join(dir, "current"))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "keys.json"), `{"/app/a": "1"}`)
			c := newClient(t, tt.prepare(t, dir))
			c.poll = time.Hour
			snapshot, err := c.Load(t.Context(), []string{"/app/"})
			if err != nil {
				t.Fatal(err)
			}
			changes, stop := follow(t, c, snapshot.Version)
			tt.change(t, dir)
			expect(t, changes, backends.Change{Key: "/app/a", Value: "2"})
			if err := stop(); err == nil {
				t.Error("Follow ended without an error")
			}
		})
	}
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestFolders(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	mkdir(t, filepath.Join(dir, "a"))
	mkdir(t, filepath.Join(dir, "b"))
	write(t, filepath.Join(dir, "b", "keys"), "")
	symlink(t, "../b/keys", filepath.Join(dir, "a", "keys"))
	symlink(t, "a", filepath.Join(dir, "l"))
	symlink(t, "loop", filepath.Join(dir, "loop"))
	for _, tt := range []struct {
		file string
		want []string
	}{
		{"b/keys", []string{"b"}},
		{"a/keys", []string{"a", "b"}},
		{"l/keys", []string{"l", "", "a", "b"}},
		{"none", []string{""}},
		{"no/such/folder", []string{"no/such"}},
		{"loop", []string{""}},
	} {
		var want []string
		for _, folder := range tt.want {
			want = append(want, filepath.Join(dir, folder))
		}
		if diff := cmp.Diff(want, folders(filepath.Join(dir, tt.file))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.file, diff)
		}
	}
}

// logs is a log that a test can wait for.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logs) await(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !strings.Contains(l.String(), text); {
		if time.Now().After(deadline) {
			t.Fatalf("%q is not logged: %s", text, l)
		}
		time.Sleep(5 * time.Millisecond) // the pace of a poll that has a deadline
	}
}

// TestFollowKeepsTheLastGoodState: neither a broken nor a missing file changes
// a key, and each is said once.
func TestFollowKeepsTheLastGoodState(t *testing.T) {
	dir := t.TempDir()
	base, over := filepath.Join(dir, "base.json"), filepath.Join(dir, "over.toml")
	write(t, base, `{"/app/a": "1", "/app/b": "1"}`)
	write(t, over, "'/app/b' = '2'\n")
	var log logs
	c, err := New(Config{Files: []string{base, over}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := c.Load(t.Context(), []string{"/app/"})
	if err != nil {
		t.Fatal(err)
	}
	changes, stop := follow(t, c, snapshot.Version)
	defer func() { _ = stop() }() // canceled

	write(t, over, "'/app/b' = \n")
	log.await(t, "over.toml: line 1")
	if err := os.Remove(over); err != nil {
		t.Fatal(err)
	}
	log.await(t, "no such file")
	write(t, base, `{"/app/a": "2", "/app/b": "1"}`)
	write(t, over, "'/app/b' = '3'\n")
	log.await(t, "can be read again")
	expect(t, changes, backends.Change{Key: "/app/a", Value: "2"}, backends.Change{Key: "/app/b", Value: "3"})
	if n := strings.Count(log.String(), "over.toml: line 1"); n != 1 {
		t.Errorf("the broken file is logged %d times", n)
	}
}

// TestReadAfterAQuickChange: a file that changes twice within a tick of the
// file system's clock, to something of the same size, looks as if it had not.
func TestReadAfterAQuickChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	write(t, path, `{"/app/a": "1"}`)
	stamp := time.Now()
	if err := os.Chtimes(path, stamp, stamp); err != nil {
		t.Fatal(err)
	}
	c := newClient(t, path)
	if _, _, err := c.read(false); err != nil {
		t.Fatal(err)
	}
	write(t, path, `{"/app/a": "2"}`)
	if err := os.Chtimes(path, stamp, stamp); err != nil {
		t.Fatal(err)
	}
	values, _, err := c.read(false)
	if err != nil {
		t.Fatal(err)
	}
	if values["/app/a"] != "2" {
		t.Errorf("/app/a = %q, want 2", values["/app/a"])
	}
}

// TestFilterIsCovers holds the filter against the definition.
func TestFilterIsCovers(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	word := func() string {
		var b strings.Builder
		for range 1 + random.IntN(4) {
			b.WriteString([]string{"/", "/a", "/b", "a", "/ab", "/a-b"}[random.IntN(6)])
		}
		return "/" + strings.TrimPrefix(b.String(), "/")
	}
	covered := 0
	for range 20_000 {
		paths := []string{word(), word()}
		key := word()
		want := slices.ContainsFunc(paths, func(p string) bool { return backends.Covers(p, key) })
		if got := newFilter(paths).covers(key); got != want {
			t.Fatalf("%q covers %q: %v, want %v", paths, key, got, want)
		}
		if want {
			covered++
		}
	}
	if covered < 1000 {
		t.Errorf("only %d of the pairs are covered: the test shows little", covered)
	}
}

func TestLoadErrors(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "bad.json"), "{")
	for _, tt := range []struct{ file, want string }{
		{"none.json", "read snapshot: open " + filepath.Join(dir, "none.json") + ": no such file or directory"},
		{"bad.json", "read snapshot " + filepath.Join(dir, "bad.json") + ": line 1: the file ends in the middle of the object"},
	} {
		_, err := newClient(t, filepath.Join(dir, tt.file)).Load(t.Context(), []string{"/"})
		if !errors.Is(err, backends.ErrDenied) || fmt.Sprint(err) != tt.want {
			t.Errorf("Load: %v, want %s, as an error that lasts", err, tt.want)
		}
	}
	if _, err := New(Config{}); err == nil {
		t.Error("New does without any file")
	}
}
