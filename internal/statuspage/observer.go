package statuspage

import (
	"bytes"
	"maps"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"pc4patroni/internal/report"
	"pc4patroni/resource/engine"
)

// An observer keeps what the events of an engine tell. It may be used by several
// goroutines.
type observer struct {
	// changeText makes of what a file held and holds what the page shows.
	changeText func(old, now []byte, public bool) string
	// outputText makes of what a command printed what the page shows.
	outputText func(output string, public bool) string
	latency    prometheus.Histogram

	mu        sync.Mutex
	resources map[string]report.History
	backends  map[string]report.Received
	events    report.EventLog
}

// latencyBounds are in seconds. A reload needs at least a fork; past a minute
// it hangs.
var latencyBounds = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

// newObserver returns the observer for a page that only this host can reach, or
// others as well.
func newObserver(loopback bool) *observer {
	return &observer{
		changeText: changeText(loopback), outputText: outputText(loopback),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: "change_to_reload_seconds",
			Help: "Time from the arrival of a change to the end of the reload that it caused.", Buckets: latencyBounds}),
		resources: make(map[string]report.History), backends: make(map[string]report.Received),
	}
}

// observe takes one event.
func (o *observer) observe(ev engine.Event) {
	diff := ""
	if ev.Kind == engine.Installed && (ev.Before != nil || ev.After != nil) && !bytes.Equal(ev.Before, ev.After) {
		diff = o.changeText(ev.Before, ev.After, ev.Public) // outside the lock: it takes long
	}
	if ev.Latency > 0 {
		o.latency.Observe(ev.Latency.Seconds())
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events.Add(ev)
	if ev.Resource == "" {
		o.received(ev)
		return
	}
	h := o.resources[ev.Resource]
	switch ev.Kind {
	case engine.Rendered:
		h.Renders = *h.Renders.Add(ev.Time, 0, ev.Err, "")
	case engine.Checked:
		h.Check = h.Check.Add(ev.Time, ev.Took, ev.Err, o.outputText(ev.Output, ev.Public))
	case engine.Reloaded:
		h.Reload = h.Reload.Add(ev.Time, ev.Took, ev.Err, o.outputText(ev.Output, ev.Public))
	case engine.Installed:
		h.LastChange = &report.LastChange{At: ev.Time.UTC(), New: ev.New, Diff: diff}
	}
	o.resources[ev.Resource] = h
}

// received takes an event of a backend.
func (o *observer) received(ev engine.Event) {
	b := o.backends[ev.Backend]
	b.Events += ev.Count
	b.Resyncs = maps.Clone(b.Resyncs) // views have the one before
	if b.Resyncs == nil {
		b.Resyncs = make(map[string]int)
	}
	if ev.Kind == engine.Resynced {
		b.Resyncs[ev.Reason]++
	}
	o.backends[ev.Backend] = b
}

// observed returns what the events told so far.
func (o *observer) observed() *report.Observed {
	o.mu.Lock()
	defer o.mu.Unlock()
	return &report.Observed{Resources: maps.Clone(o.resources), Backends: maps.Clone(o.backends), Events: o.events.Newest()}
}
