// Package file is a backend that reads keys from snapshot files: for a first
// try without etcd, for CI and for tests. Parse documents the formats.
//
// Watch polls the files and delivers the difference to what it read before. A
// file that cannot be read, perhaps because somebody is writing it, leaves the
// keys as they were.
package file

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"time"

	"pc4patroni/backends"
)

var _ backends.Backend = (*Client)(nil)

// pollEvery is how often the files are read to find changes, and the heartbeat.
// Reading them is cheap, and it finds every way to replace a file: renames,
// links, volumes of Kubernetes, and file systems that announce nothing.
const pollEvery = 250 * time.Millisecond

// Config says what to read.
type Config struct {
	// Files are the snapshots. If several have the same key, the last one wins.
	Files []string
	// Logger gets what Watch logs; nil discards it.
	Logger *slog.Logger
}

// Client is the backend. It keeps nothing between two calls.
type Client struct {
	files []string
	log   *slog.Logger
	life  context.Context
	end   context.CancelCauseFunc
}

var errClosed = errors.New("the file backend is closed")

// New returns a backend on the snapshots. They are not read yet.
func New(cfg Config) (*Client, error) {
	if len(cfg.Files) == 0 {
		return nil, errors.New("no snapshot file: name one with -file")
	}
	log := cfg.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := &Client{files: slices.Clone(cfg.Files), log: log}
	c.life, c.end = context.WithCancelCause(context.Background())
	return c, nil
}

// Close ends every Watch.
func (c *Client) Close() error {
	c.end(errClosed)
	return nil
}

// lasting makes an error wrap ErrDenied, as one that does not go away by itself,
// without the words of ErrDenied.
type lasting struct{ err error }

func (e *lasting) Error() string { return e.err.Error() }

func (e *lasting) Unwrap() []error { return []error{e.err, backends.ErrDenied} }

// Load reads all files.
func (c *Client) Load(ctx context.Context, paths []string) ([]backends.Update, error) {
	if err := cmp.Or(ctx.Err(), context.Cause(c.life)); err != nil {
		return nil, err
	}
	text, err := c.text()
	if err != nil {
		return nil, &lasting{err}
	}
	keys, err := c.parse(text)
	if err != nil {
		return nil, &lasting{err}
	}
	updates := make([]backends.Update, len(paths))
	for i, p := range paths {
		updates[i] = state(p, keys)
	}
	return updates, nil
}

// text returns the content of all files.
func (c *Client) text() ([][]byte, error) {
	text := make([][]byte, len(c.files))
	for i, file := range c.files {
		var err error
		if text[i], err = os.ReadFile(file); err != nil {
			return nil, fmt.Errorf("read snapshot: %w", err)
		}
	}
	return text, nil
}

// parse returns the keys of all files.
func (c *Client) parse(text [][]byte) (map[string]string, error) {
	keys := map[string]string{}
	for i, file := range c.files {
		one, err := Parse(file, text[i])
		if err != nil {
			return nil, fmt.Errorf("read snapshot %w", err)
		}
		maps.Copy(keys, one)
	}
	return keys, nil
}

// state returns the full state of a path.
func state(path string, keys map[string]string) backends.Update {
	covered := map[string]string{}
	for key, value := range keys {
		if backends.Covers(path, key) {
			covered[key] = value
		}
	}
	return backends.Update{Path: path, Version: version(covered), Keys: covered}
}

// version is a digest of the keys. Files have no history: a version is either
// the current one or unknown.
func version(keys map[string]string) backends.Version {
	hash := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		fmt.Fprintf(hash, "%q%q", key, keys[key])
	}
	return backends.Version(hex.EncodeToString(hash.Sum(nil)))
}
