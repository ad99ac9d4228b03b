// Package file is a backend that reads keys from snapshot files. It is what a
// newcomer runs first, and what CI and tests run on; see Parse for the forms.
//
// Files are followed: a change of one is delivered as the difference to what
// was read before. A file that cannot be read for the moment, because somebody
// is writing it, leaves the keys as they were.
package file

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"pc4patroni/backends"
)

var _ backends.Backend = (*Client)(nil)

const (
	// pollEvery is how often the files are looked at without being told of a
	// change: some file systems tell nothing. It is also the sign of life.
	pollEvery = 2 * time.Second
	// settle is how long changes are collected, as an editor makes several.
	settle = 20 * time.Millisecond
)

// Config says what to read.
type Config struct {
	// Files are the snapshots. Of a key that stands in several, the last wins.
	Files []string
	// Logger gets what a follower has to say; nil discards it.
	Logger *slog.Logger
}

// Client is the backend. It may be used by several goroutines.
type Client struct {
	files  []string
	store  uint64
	log    *slog.Logger
	closed chan struct{}
	once   sync.Once

	mu       sync.Mutex
	revision int64
	values   map[string]string // as of revision; never changed, only replaced
	states   []state           // of files when values were read
}

// state is what tells a changed file from an unchanged one.
type state struct {
	size  int64
	mtime time.Time
	info  os.FileInfo
}

// New returns a backend on the snapshots. They are not read yet.
func New(cfg Config) (*Client, error) {
	if len(cfg.Files) == 0 {
		return nil, errors.New("no snapshot file: name one with -file")
	}
	log := cfg.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	hash := fnv.New64a()
	for _, file := range cfg.Files {
		fmt.Fprintf(hash, "%q", file)
	}
	return &Client{files: slices.Clone(cfg.Files), store: hash.Sum64(), log: log, closed: make(chan struct{})}, nil
}

// lasting is an error that time alone does not mend.
type lasting struct{ err error }

func (e *lasting) Error() string { return e.err.Error() }

func (e *lasting) Unwrap() error { return e.err }

func (e *lasting) Is(target error) bool { return target == backends.ErrDenied }

// Load reads all files.
func (c *Client) Load(ctx context.Context, paths []string) (backends.Snapshot, error) {
	if err := ctx.Err(); err != nil {
		return backends.Snapshot{}, err
	}
	values, revision, err := c.read(true)
	if err != nil {
		return backends.Snapshot{}, &lasting{err}
	}
	return backends.Snapshot{
		Version: backends.Version{Store: c.store, Revision: revision},
		Values:  covered(values, paths),
	}, nil
}

// read returns the present values and their revision. Unless always is set,
// files are only opened when one looks different from the last time.
func (c *Client) read(always bool) (map[string]string, int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	states := c.look()
	if !always && c.values != nil && slices.EqualFunc(states, c.states, state.same) {
		return c.values, c.revision, nil
	}
	values := map[string]string{}
	for _, file := range c.files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, 0, fmt.Errorf("read snapshot: %w", err)
		}
		one, err := Parse(file, data)
		if err != nil {
			return nil, 0, fmt.Errorf("read snapshot %w", err)
		}
		maps.Copy(values, one)
	}
	c.states = states
	if c.values == nil || !maps.Equal(values, c.values) {
		c.values = values
		c.revision++
	}
	return c.values, c.revision, nil
}

func (c *Client) look() []state {
	states := make([]state, len(c.files))
	for i, file := range c.files {
		if info, err := os.Stat(file); err == nil {
			states[i] = state{info.Size(), info.ModTime(), info}
		}
	}
	return states
}

func (s state) same(other state) bool {
	return s.info != nil && other.info != nil && os.SameFile(s.info, other.info) &&
		s.size == other.size && s.mtime.Equal(other.mtime)
}

func covered(values map[string]string, paths []string) map[string]string {
	out := make(map[string]string)
	for key, value := range values {
		if slices.ContainsFunc(paths, func(path string) bool { return backends.Covers(path, key) }) {
			out[key] = value
		}
	}
	return out
}

// Follow delivers the differences between what is read now and what was read
// at version. Versions older than the last one read are not kept.
func (c *Client) Follow(ctx context.Context, paths []string, version backends.Version, sink func(backends.Batch) error) error {
	c.mu.Lock()
	seen, revision := c.values, c.revision
	c.mu.Unlock()
	if version.Store != c.store || version.Revision != revision {
		return &backends.Lost{Reason: backends.ReasonCompacted, Err: errors.New("the snapshot files have changed since they were read")}
	}
	changed, stop, err := c.notify()
	if err != nil {
		// Without notices the poll still finds every change.
		c.log.Debug("snapshot files are only polled", "err", err)
	}
	defer stop()

	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	trouble := ""
	for {
		// The first look is for what changed before the notices began.
		values, now, err := c.read(false)
		switch {
		case err != nil && err.Error() != trouble:
			trouble = err.Error()
			c.log.Warn("snapshot file cannot be read, its keys stay as they are", "err", err)
		case err == nil && trouble != "":
			trouble = ""
			c.log.Info("snapshot file can be read again")
		}
		batch := backends.Batch{Revision: revision}
		if err == nil && now != revision {
			batch = backends.Batch{Revision: now, Changes: difference(covered(seen, paths), covered(values, paths))}
			seen, revision = values, now
		}
		if err := sink(batch); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.closed:
			return errors.New("follow: the backend was closed")
		case <-tick.C:
		case <-changed:
			if !wait(ctx, settle) {
				return context.Cause(ctx)
			}
			// What came meanwhile is part of the same change.
			select {
			case <-changed:
			default:
			}
		}
	}
}

func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// difference returns the changes that lead from before to after, by key.
func difference(before, after map[string]string) []backends.Change {
	var changes []backends.Change
	for key, value := range after {
		if old, ok := before[key]; !ok || old != value {
			changes = append(changes, backends.Change{Key: key, Value: value})
		}
	}
	for key := range before {
		if _, ok := after[key]; !ok {
			changes = append(changes, backends.Change{Key: key, Deleted: true})
		}
	}
	slices.SortFunc(changes, func(a, b backends.Change) int {
		if a.Key < b.Key {
			return -1
		}
		return 1
	})
	return changes
}

// notify returns a channel that holds a token after something changed in a
// folder of the files, and of what they are links to: programs replace files
// rather than write to them. stop has to be called; it never is nil.
func (c *Client) notify() (<-chan struct{}, func(), error) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, func() {}, err
	}
	var failed error
	for _, file := range c.files {
		folders := []string{filepath.Dir(file)}
		if target, err := filepath.EvalSymlinks(file); err == nil {
			folders = append(folders, filepath.Dir(target))
		}
		for _, folder := range folders {
			if err := watcher.Add(folder); err != nil {
				failed = err
			}
		}
	}
	changed := make(chan struct{}, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case _, ok := <-watcher.Events:
				if !ok {
					return
				}
			case _, ok := <-watcher.Errors:
				if !ok {
					return
				}
			}
			select {
			case changed <- struct{}{}:
			default:
			}
		}
	}()
	return changed, func() {
		_ = watcher.Close() // it was only read from
		<-done
	}, failed
}

// Close ends every Follow.
func (c *Client) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}
