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

// Watch implements [backends.Backend]. Each look at the files reads them whole
// and delivers what has become different; at a resync everything is delivered.
// Files that cannot be read leave all keys as they are.
func (c *Client) Watch(ctx context.Context, paths []backends.WatchPath, resync time.Duration, sink func([]backends.Update) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.life, func() { cancel(errClosed) })()
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
	var due <-chan time.Time
	if resync > 0 {
		ticker := time.NewTicker(resync)
		defer ticker.Stop()
		due = ticker.C
	}

	w := watch{c: c, paths: paths}
	for reason := ""; ; {
		if notices != nil {
			if err := notices.watch(c.files); err != nil {
				c.log.Debug("a folder of snapshot files is only polled", "err", err)
			}
		}
		// The first look is after the notices began, so nothing falls between.
		updates, err := w.look(reason)
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
		case <-happened:
			select {
			case <-time.After(settle):
			case <-ctx.Done():
			}
			// What came meanwhile is part of the same change.
			select {
			case <-happened:
			default:
			}
		}
	}
}

// watch is one Watch under way.
type watch struct {
	c     *Client
	paths []backends.WatchPath
	text  [][]byte // of the files when they were last read
	// held is what the caller has of each path; nil before the first look.
	held    []map[string]string
	trouble trouble
}

// look reads the files and returns what the caller lacks: changes, or with a
// reason everything.
func (w *watch) look(reason string) ([]backends.Update, error) {
	text, err := w.c.text()
	if err == nil && reason == "" && slices.EqualFunc(text, w.text, bytes.Equal) {
		w.trouble.tell(w.c.log, nil)
		return nil, nil
	}
	var keys map[string]string
	if err == nil {
		keys, err = w.c.parse(text)
	}
	if err != nil && w.held == nil {
		return nil, &lasting{err}
	}
	w.trouble.tell(w.c.log, err)
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
