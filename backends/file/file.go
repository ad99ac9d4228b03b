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
	"slices"
	"strings"
	"sync"
	"time"

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
	poll   time.Duration // pollEvery
	closed chan struct{}
	once   sync.Once

	mu       sync.Mutex
	revision int64
	values   map[string]string // as of revision; never changed, only replaced
	states   []state           // of files when values were read
}

// state is what tells a changed file from an unchanged one.
type state struct {
	info os.FileInfo // nil if the file could not be found
	// fresh is set if the file had changed just before it was looked at: it may
	// have changed again since, within one tick of the clock of the file system.
	fresh bool
}

// freshness is longer than such a tick.
const freshness = 2 * time.Second

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
	return &Client{files: slices.Clone(cfg.Files), store: hash.Sum64(), log: log, poll: pollEvery, closed: make(chan struct{})}, nil
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
		Values:  newFilter(paths).covered(values),
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
			states[i] = state{info, time.Since(info.ModTime()) < freshness}
		}
	}
	return states
}

// same tells whether a file in state s has certainly not changed since it was
// in state before.
func (s state) same(before state) bool {
	return s.info != nil && before.info != nil && !before.fresh && os.SameFile(s.info, before.info) &&
		s.info.Size() == before.info.Size() && s.info.ModTime().Equal(before.info.ModTime())
}

// filter tells which keys are covered by paths, without looking at each path
// for each key.
type filter map[string]bool

func newFilter(paths []string) filter {
	f := make(filter, len(paths))
	for _, p := range paths {
		f[p] = true
	}
	return f
}

// covers is backends.Covers for any of the paths: one that covers key is the
// key itself or a part of it up to a slash, with or without that slash.
func (f filter) covers(key string) bool {
	if f[key] {
		return true
	}
	for i := range len(key) {
		if key[i] == '/' && (f[key[:i]] || f[key[:i+1]]) {
			return true
		}
	}
	return false
}

func (f filter) covered(values map[string]string) map[string]string {
	out := make(map[string]string)
	for key, value := range values {
		if f.covers(key) {
			out[key] = value
		}
	}
	return out
}

// Follow delivers the differences between what is read now and what was read
// at version. Versions older than the last one read are not kept. A file that
// cannot be read leaves all keys as they are.
func (c *Client) Follow(ctx context.Context, paths []string, version backends.Version, sink func(backends.Batch) error) error {
	c.mu.Lock()
	seen, revision := c.values, c.revision
	c.mu.Unlock()
	if version.Store != c.store || version.Revision != revision {
		return &backends.Lost{Reason: backends.ReasonCompacted, Err: errors.New("the snapshot files have changed since they were read")}
	}
	filter := newFilter(paths)
	seen = filter.covered(seen)
	var happened <-chan struct{}
	notices, err := newNotices()
	if err == nil {
		defer notices.close()
		happened = notices.happened
	} else {
		c.log.Debug("snapshot files are only polled", "err", err)
	}

	tick := time.NewTicker(c.poll)
	defer tick.Stop()
	var trouble trouble
	for alive := true; ; {
		if notices != nil {
			if err := notices.watch(c.files); err != nil {
				c.log.Debug("a folder of snapshot files is only polled", "err", err)
			}
		}
		// The first look is for what changed before the notices began.
		values, now, err := c.read(false)
		trouble.tell(c.log, err)
		batch := backends.Batch{Revision: revision}
		if err == nil && now != revision {
			after := filter.covered(values)
			batch = backends.Batch{Revision: now, Changes: difference(seen, after)}
			seen, revision = after, now
		}
		if alive || len(batch.Changes) > 0 {
			if err := sink(batch); err != nil {
				return err
			}
		}
		alive = false
		select {
		case <-ctx.Done():
			return fmt.Errorf("follow snapshot files: %w", ctx.Err())
		case <-c.closed:
			return errClosed
		case <-tick.C:
			alive = true
		case <-happened:
			if !wait(ctx, settle) {
				return fmt.Errorf("follow snapshot files: %w", ctx.Err())
			}
			// What came meanwhile is part of the same change.
			select {
			case <-happened:
			default:
			}
		}
	}
}

var errClosed = errors.New("follow snapshot files: the backend was closed")

// trouble is why the files cannot be read, if they cannot.
type trouble struct{ last, told string }

// tell logs that files cannot be read, once, and that they can be again. What is
// over at the next look was a file being written, and not worth a word.
func (t *trouble) tell(log *slog.Logger, err error) {
	switch {
	case err == nil:
		if t.told != "" {
			log.Info("snapshot files can be read again")
		}
		*t = trouble{}
	case err.Error() != t.last:
		t.last = err.Error()
	case err.Error() != t.told:
		t.told = err.Error()
		log.Warn("snapshot file cannot be read, all keys stay as they are", "err", err)
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
	slices.SortFunc(changes, func(a, b backends.Change) int { return strings.Compare(a.Key, b.Key) })
	return changes
}

// Close ends every Follow.
func (c *Client) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}
