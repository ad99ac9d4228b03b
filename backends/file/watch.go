package file

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"pc4patroni/backends"
)

// Watch implements [backends.Backend]. Each poll reads the files whole and
// delivers what changed; a resync delivers everything.
func (c *Client) Watch(ctx context.Context, paths []backends.WatchPath, resync time.Duration, sink func([]backends.Update) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.life, func() { cancel(errClosed) })()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	var due <-chan time.Time
	if resync > 0 {
		ticker := time.NewTicker(resync)
		defer ticker.Stop()
		due = ticker.C
	}

	w := watch{c: c, paths: paths}
	for reason := ""; ; {
		updates, err := w.poll(reason)
		if err != nil {
			return err
		}
		if len(updates) > 0 {
			if err := sink(updates); err != nil {
				return err
			}
		}
		if err := sink(nil); err != nil {
			return err
		}
		reason = ""
		select {
		case <-ctx.Done():
			return fmt.Errorf("watch snapshot files: %w", context.Cause(ctx))
		case <-tick.C:
		case <-due:
			reason = backends.ResyncInterval
		}
	}
}

// watch is one Watch under way.
type watch struct {
	c     *Client
	paths []backends.WatchPath
	text  [][]byte // of the files when they were last read
	// held is what the caller has of each path; nil before the first poll.
	held    []map[string]string
	failure failure
}

// poll reads the files and returns what the caller lacks: changes, or with a
// reason to resync everything.
func (w *watch) poll(reason string) ([]backends.Update, error) {
	text, err := w.c.text()
	if err == nil && reason == "" && slices.EqualFunc(text, w.text, bytes.Equal) {
		w.failure.log(w.c.log, nil)
		return nil, nil
	}
	var keys map[string]string
	if err == nil {
		keys, err = w.c.parse(text)
	}
	if err != nil && w.held == nil {
		return nil, &lasting{err}
	}
	w.failure.log(w.c.log, err)
	if err != nil {
		return nil, nil
	}
	w.text = text
	first := w.held == nil
	if first {
		w.held = make([]map[string]string, len(w.paths))
	}
	var updates []backends.Update
	for i, p := range w.paths {
		u := state(p.Path, keys)
		before := w.held[i]
		w.held[i] = u.Keys
		switch {
		case first && p.After == u.Version:
			continue
		case first && p.After != "":
			u.Resync = backends.ResyncCompacted
		case reason != "":
			u.Resync = reason
		case !first:
			u.Changes, u.Keys = difference(before, u.Keys), nil
			if len(u.Changes) == 0 {
				continue
			}
		}
		updates = append(updates, u)
	}
	return updates, nil
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

// failure is why the files cannot be read, if they cannot.
type failure struct{ last, logged string }

// log logs once that files cannot be read, and that they can be again. A failure
// that is over at the next poll was a file being written: it is not logged.
func (f *failure) log(log *slog.Logger, err error) {
	switch {
	case err == nil:
		if f.logged != "" {
			log.Info("snapshot files can be read again")
		}
		*f = failure{}
	case err.Error() != f.last:
		f.last = err.Error()
	case err.Error() != f.logged:
		f.logged = err.Error()
		log.Warn("snapshot file cannot be read, all keys stay as they are", "err", err)
	}
}
