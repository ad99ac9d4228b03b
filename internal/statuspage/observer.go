package statuspage

import (
	"bytes"
	"maps"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"pc4patroni/backends"
	"pc4patroni/resource/engine"
)

// A Record is what happened to a resource since the program started.
// Times are zero for what never happened.
type Record struct {
	// Renders and RenderFailures count the attempts to render the template.
	Renders, RenderFailures int
	// LastSuccess is when the file was last found to be, or made, what it should
	// be, with its reload done.
	LastSuccess time.Time
	// Check and Reload are the runs of the two commands.
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

func (r *Runs) add(ev engine.Event) {
	r.Count++
	r.Total += ev.Took
	r.Last, r.LastTook, r.LastFailed = ev.Time, ev.Took, ev.Err != nil
	if ev.Err != nil {
		r.Failures++
	}
}

// LastChange is the last replacement of a file.
type LastChange struct {
	At   time.Time
	New  bool   // there was no file before
	Diff string // what changeText made of it
}

// latencyBounds are the upper ends of the buckets of Latency. A reload needs
// at least a fork; past a minute it hangs.
var latencyBounds = [...]time.Duration{
	5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute,
}

// Latency is how long it took from the arrival of a change to the end of
// the reload that told the proxy.
type Latency struct {
	Count int
	Sum   time.Duration
	// Within has, for each of some durations, how many took at most that long.
	Within map[time.Duration]int
}

// BackendCounts counts what came from a backend.
type BackendCounts struct {
	Events  int
	Resyncs map[string]int // full reads after the first one, by reason
}

// An Observer counts the events of an engine. It may be used by several
// goroutines.
type Observer struct {
	// diff makes of what a file held and holds the text that the page shows.
	diff func(old, now []byte, public bool) string

	mu       sync.Mutex
	records  map[string]*Record
	backends map[string]*BackendCounts
	buckets  [len(latencyBounds)]int // not cumulative
	latency  Latency
}

// NewObserver returns an observer for the page on l, which may be nil.
func NewObserver(l net.Listener) *Observer {
	var diff func(old, now []byte, public bool) string
	if l != nil {
		diff = ChangeText(l)
	}
	return &Observer{diff: diff, records: map[string]*Record{}, backends: map[string]*BackendCounts{}}
}

// Observe counts one event.
func (o *Observer) Observe(ev engine.Event) {
	diff := ""
	if ev.Kind == engine.Installed && o.diff != nil && (ev.Before != nil || ev.After != nil) && !bytes.Equal(ev.Before, ev.After) {
		diff = o.diff(ev.Before, ev.After, ev.Public)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if ev.Resource != "" {
		o.observeResource(ev, diff)
		return
	}
	b := o.backends[ev.Backend]
	if b == nil {
		b = &BackendCounts{Resyncs: map[string]int{}}
		o.backends[ev.Backend] = b
	}
	switch ev.Kind {
	case engine.Received:
		b.Events += ev.Count
	case engine.Resynced:
		b.Resyncs[ev.Reason]++
	}
}

func (o *Observer) observeResource(ev engine.Event, diff string) {
	r := o.records[ev.Resource]
	if r == nil {
		r = &Record{}
		o.records[ev.Resource] = r
	}
	switch ev.Kind {
	case engine.Rendered:
		r.Renders++
		if ev.Err != nil {
			r.RenderFailures++
		}
	case engine.Checked:
		r.Check.add(ev)
	case engine.Installed:
		r.Change = LastChange{ev.Time, ev.New, diff}
	case engine.Reloaded:
		r.Reload.add(ev)
		if ev.Latency > 0 {
			o.latency.Count++
			o.latency.Sum += ev.Latency
			for i, bound := range latencyBounds {
				if ev.Latency <= bound {
					o.buckets[i]++
					break
				}
			}
		}
	}
}

// Watched is an engine and what was observed of it.
type Watched struct {
	*engine.Engine
	Seen *Observer
}

// Records returns what happened to each resource of now, by name.
func (w Watched) Records() map[string]Record {
	status := w.Status()
	w.Seen.mu.Lock()
	defer w.Seen.mu.Unlock()
	records := make(map[string]Record, len(status.Resources))
	for _, r := range status.Resources {
		if r.Dest == "" {
			continue
		}
		var record Record
		if seen := w.Seen.records[r.Name]; seen != nil {
			record = *seen
		}
		record.LastSuccess, record.Check.Defined, record.Reload.Defined = r.LastSuccess, r.Checks, r.Reloads
		records[r.Name] = record
	}
	// What is gone for good is forgotten.
	maps.DeleteFunc(w.Seen.records, func(name string, _ *Record) bool { _, is := records[name]; return !is })
	return records
}

// Backends returns what came from each backend.
func (w Watched) Backends() map[string]BackendCounts {
	w.Seen.mu.Lock()
	defer w.Seen.mu.Unlock()
	all := make(map[string]BackendCounts, len(w.Seen.backends))
	for name, b := range w.Seen.backends {
		all[name] = BackendCounts{b.Events, maps.Clone(b.Resyncs)}
	}
	return all
}

// Latency returns how long it took to tell the proxies of changes.
func (w Watched) Latency() Latency {
	w.Seen.mu.Lock()
	defer w.Seen.mu.Unlock()
	l := w.Seen.latency
	l.Within = make(map[time.Duration]int, len(latencyBounds))
	sum := 0
	for i, bound := range latencyBounds {
		sum += w.Seen.buckets[i]
		l.Within[bound] = sum
	}
	return l
}

// revisionOf returns the revision that is the end of etcd's versions, or 0.
func revisionOf(v backends.Version) int64 {
	_, text, _ := strings.Cut(string(v), "/")
	revision, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return revision
}
