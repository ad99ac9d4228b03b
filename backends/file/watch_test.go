package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
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

// watching is a Watch of /app/ under way.
type watching struct {
	updates chan backends.Update
	cancel  context.CancelFunc
	done    chan error
}

// startWatch starts a Watch and waits until it stands. What it delivers before
// is the first thing to expect.
func startWatch(t *testing.T, c *Client, after backends.Version, resync time.Duration) *watching {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &watching{updates: make(chan backends.Update, 100), cancel: cancel, done: make(chan error, 1)}
	standing := make(chan bool, 1)
	go func() {
		w.done <- c.Watch(ctx, []backends.WatchPath{{Path: "/app/", After: after}}, resync, func(updates []backends.Update) error {
			for _, u := range updates {
				w.updates <- u
			}
			if len(updates) == 0 {
				select {
				case standing <- true:
				default:
				}
			}
			return nil
		})
	}()
	select {
	case <-standing:
	case err := <-w.done:
		t.Fatal(err)
	}
	t.Cleanup(cancel)
	return w
}

func (w *watching) next(t *testing.T) backends.Update {
	t.Helper()
	select {
	case u := <-w.updates:
		return u
	case <-time.After(60 * time.Second):
		t.Fatal("no update came")
		return backends.Update{}
	}
}

// expect waits for one update with changes.
func (w *watching) expect(t *testing.T, want ...backends.Change) {
	t.Helper()
	if diff := cmp.Diff(want, w.next(t).Changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func (w *watching) stop(t *testing.T) {
	t.Helper()
	w.cancel()
	if err := <-w.done; !errors.Is(err, context.Canceled) {
		t.Errorf("Watch = %v, want canceled", err)
	}
}

func TestWatch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	write(t, path, `{"/app/a": "1", "/app/b": "1"}`)
	c := newClient(t, path)
	w := startWatch(t, c, "", 0)
	first := w.next(t)
	want := backends.Update{Path: "/app/", Version: first.Version, Keys: map[string]string{"/app/a": "1", "/app/b": "1"}}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	// As an editor does it, and with a key that nobody watches.
	write(t, path+".new", `{"/app/a": "2", "/app/c": "1", "/other": "1"}`)
	rename(t, path+".new", path)
	w.expect(t, backends.Change{Key: "/app/a", Value: "2"}, backends.Change{Key: "/app/b", Deleted: true}, backends.Change{Key: "/app/c", Value: "1"})
	// Half a file changes nothing.
	write(t, path, `{"/app/a": "3", "/ap`)
	write(t, path, `{"/app/a": "4", "/app/c": "1"}`)
	last := w.next(t)
	if diff := cmp.Diff([]backends.Change{{Key: "/app/a", Value: "4"}}, last.Changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	w.stop(t)

	// Who has the present state is not told again, who has another one is.
	w = startWatch(t, c, last.Version, 0)
	write(t, path, `{"/app/a": "5", "/app/c": "1"}`)
	w.expect(t, backends.Change{Key: "/app/a", Value: "5"})
	w.stop(t)
	w = startWatch(t, c, first.Version, 0)
	if u := w.next(t); u.Resync != backends.ResyncCompacted || u.Keys["/app/a"] != "5" {
		t.Errorf("watching from an old version brings %+v", u)
	}
	w.stop(t)
}

func TestResync(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	write(t, path, `{"/app/a": "1"}`)
	w := startWatch(t, newClient(t, path), "", 50*time.Millisecond)
	w.next(t)
	for range 3 {
		if u := w.next(t); u.Resync != backends.ResyncInterval || u.Keys["/app/a"] != "1" {
			t.Errorf("a resync brings %+v", u)
		}
	}
	w.stop(t)
}

func TestClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	write(t, path, `{}`)
	c := newClient(t, path)
	w := startWatch(t, c, "", 0)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-w.done; !errors.Is(err, errClosed) {
		t.Errorf("Watch of a closed backend = %v", err)
	}
	if _, err := c.Load(t.Context(), []string{"/"}); !errors.Is(err, errClosed) {
		t.Errorf("Load of a closed backend = %v", err)
	}
}

// TestWatchWaysToReplaceAFile does what editors, Kubernetes and administrators
// do to a file.
func TestWatchWaysToReplaceAFile(t *testing.T) {
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
			w := startWatch(t, c, "", 0)
			w.next(t)
			tt.change(t, dir)
			w.expect(t, backends.Change{Key: "/app/a", Value: "2"})
			w.stop(t)
		})
	}
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
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

// TestWatchKeepsTheLastGoodState: neither a broken nor a missing file changes
// a key, and each is said once.
func TestWatchKeepsTheLastGoodState(t *testing.T) {
	dir := t.TempDir()
	base, over := filepath.Join(dir, "base.json"), filepath.Join(dir, "over.toml")
	write(t, base, `{"/app/a": "1", "/app/b": "1"}`)
	write(t, over, "'/app/b' = '2'\n")
	var log logs
	c, err := New(Config{Files: []string{base, over}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	w := startWatch(t, c, "", 0)
	w.next(t)
	defer w.stop(t)

	write(t, over, "'/app/b' = \n")
	log.await(t, "over.toml: line 1")
	if err := os.Remove(over); err != nil {
		t.Fatal(err)
	}
	log.await(t, "no such file")
	write(t, base, `{"/app/a": "2", "/app/b": "1"}`)
	write(t, over, "'/app/b' = '3'\n")
	log.await(t, "can be read again")
	w.expect(t, backends.Change{Key: "/app/a", Value: "2"}, backends.Change{Key: "/app/b", Value: "3"})
	if n := strings.Count(log.String(), "over.toml: line 1"); n != 1 {
		t.Errorf("the broken file is logged %d times", n)
	}
}

// TestQuickChange: a file that changes twice within a tick of the file system's
// clock, to something of the same size, looks as if it had not.
func TestQuickChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	stamp := time.Now()
	put := func(text string) {
		t.Helper()
		write(t, path, text)
		if err := os.Chtimes(path, stamp, stamp); err != nil {
			t.Fatal(err)
		}
	}
	put(`{"/app/a": "1"}`)
	w := startWatch(t, newClient(t, path), "", 0)
	w.next(t)
	put(`{"/app/a": "2"}`)
	w.expect(t, backends.Change{Key: "/app/a", Value: "2"})
	w.stop(t)
}

func TestLoadErrors(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "bad.json"), "{")
	for _, tt := range []struct{ file, want string }{
		{"none.json", "read snapshot: open " + filepath.Join(dir, "none.json") + ": no such file or directory"},
		{"bad.json", "read snapshot " + filepath.Join(dir, "bad.json") + ": line 1, column 1: not JSON: unexpected end of JSON input"},
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
