package resource

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// A Record is what happened to a resource since it was first seen, across
// updates of the configuration. Times are zero for what never happened.
type Record struct {
	// Renders and RenderFailures count the attempts to render the template; the
	// latter held the resource.
	Renders, RenderFailures int
	// LastSuccess is when the file was last found to be, or made, what it should
	// be, with no reload owed.
	LastSuccess time.Time
	// Check and Reload are the runs of the two commands. A reload counts for each
	// resource that owed it.
	Check, Reload Runs
	// Change is the last replacement of the file.
	Change LastChange
}

// Runs sums up the runs of a command.
type Runs struct {
	// Defined says that the resource has such a command.
	Defined         bool
	Count, Failures int
	// Total is how long all of them took.
	Total time.Duration
	// Last is when the last one ended, LastTook how long it took, and LastFailed
	// how it ended.
	Last       time.Time
	LastTook   time.Duration
	LastFailed bool
}

func (r *Runs) add(took time.Duration, err error) {
	r.Count++
	r.Total += took
	r.Last, r.LastTook, r.LastFailed = time.Now(), took, err != nil
	if err != nil {
		r.Failures++
	}
}

// LastChange is the last replacement of a file.
type LastChange struct {
	At time.Time
	// New says that there was no file before.
	New bool
	// Diff is what Options.Diff made of it, for a moment after At still "".
	Diff string
}

// record is a Record that its unit writes and others read.
type record struct {
	mu sync.Mutex
	Record
}

func (r *record) note(change func(*Record)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.Record)
}

func (r *record) snapshot() Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Record
}

func (r *record) rendered(err error) {
	r.note(func(rec *Record) {
		rec.Renders++
		if err != nil {
			rec.RenderFailures++
		}
	})
}

func (r *record) succeeded(at time.Time) { r.note(func(rec *Record) { rec.LastSuccess = at }) }

func (r *record) checked(took time.Duration, err error) {
	r.note(func(rec *Record) { rec.Check.add(took, err) })
}

func (r *record) reloaded(took time.Duration, err error) {
	r.note(func(rec *Record) { rec.Reload.add(took, err) })
}

// latencyBounds are the upper ends of a Latency's classes. A reload needs at
// least a fork; past a minute it hangs.
var latencyBounds = [...]time.Duration{
	5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute,
}

// Latency is how long it took from the arrival of a change to the end of the
// reload that told the proxy.
type Latency struct {
	Count int
	Sum   time.Duration
	// Within has, for each of some durations, how many took at most that long.
	Within map[time.Duration]int
}

// history holds the records of an engine by resource file. It may be used by
// several goroutines.
type history struct {
	mu      sync.Mutex
	byFile  map[string]*record
	classes [len(latencyBounds)]int // of changes, not cumulative
	count   int
	sum     time.Duration
}

// attach gives the resources of units the records that they have already, and
// forgets those of others.
func (h *history) attach(units []*unit) {
	h.mu.Lock()
	defer h.mu.Unlock()
	next := map[string]*record{}
	for _, u := range units {
		u.history = h
		for _, r := range u.resources {
			if known := h.byFile[r.File]; known != nil {
				r.record = known
			}
			r.record.note(func(rec *Record) {
				rec.Check.Defined, rec.Reload.Defined = r.check != nil && !u.opts.SyncOnly, u.reloads()
			})
			next[r.File] = r.record
		}
	}
	h.byFile = next
}

// took counts one change that the proxy knows now. A nil history counts
// nothing.
func (h *history) took(d time.Duration) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count++
	h.sum += d
	for i, bound := range latencyBounds {
		if d <= bound {
			h.classes[i]++
			break
		}
	}
}

func (h *history) latency() Latency {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := Latency{Count: h.count, Sum: h.sum, Within: make(map[time.Duration]int, len(latencyBounds))}
	sum := 0
	for i, bound := range latencyBounds {
		sum += h.classes[i]
		l.Within[bound] = sum
	}
	return l
}

func (h *history) records() map[string]Record {
	h.mu.Lock()
	defer h.mu.Unlock()
	records := make(map[string]Record, len(h.byFile))
	for file, r := range h.byFile {
		records[file] = r.snapshot()
	}
	return records
}

// Records returns what happened to each resource of Run, by resource file.
func (e *Engine) Records() map[string]Record { return e.history.records() }

// Latency returns how long it took to tell the proxies of changes.
func (e *Engine) Latency() Latency { return e.history.latency() }

// diffable is the number of bytes of a file, before or after a change, up to
// which Options.Diff sees it.
const diffable = 256 << 10

// replacement is a file that was replaced and whose diff is still to be made.
type replacement struct {
	old, now []byte
	public   bool
}

// oldContent returns what the file of r holds before it is replaced, if that
// is wanted. That it cannot be read is no reason not to replace it.
func (u *unit) oldContent(r *tracked, have fileState) []byte {
	if u.opts.Diff == nil || !have.exists || have.size > diffable {
		return nil
	}
	old, err := readSame(r.target, have)
	if err != nil {
		return nil
	}
	return old
}

// replaced notes that the file of r was replaced.
func (u *unit) replaced(r *tracked, have fileState, old []byte, want content) {
	change := LastChange{At: time.Now(), New: !have.exists}
	r.record.note(func(rec *Record) { rec.Change = change })
	r.replacement = nil
	if u.opts.Diff != nil && have.size <= diffable && len(want.data) <= diffable {
		r.replacement = &replacement{old, want.data, !have.exists || have.mode&0o004 != 0}
	}
}

// makeDiffs has the diffs made of what was replaced, after the reload so that
// it does not wait for them.
func (u *unit) makeDiffs() {
	for _, r := range u.resources {
		done := r.replacement
		if done == nil {
			continue
		}
		r.replacement = nil
		if bytes.Equal(done.old, done.now) {
			continue
		}
		diff := u.opts.Diff(done.old, done.now, done.public && isPublic(r.target))
		r.record.note(func(rec *Record) { rec.Change.Diff = diff })
	}
}

// isPublic tells whether every user of the host may read the file at path.
func isPublic(path string) bool {
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o004 == 0 {
		return false
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm()&0o001 == 0 {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
	}
}
