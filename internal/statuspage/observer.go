package statuspage

import (
	"bytes"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pc4patroni/backends"
	"pc4patroni/resource/engine"
)

// record is what happened to a resource since the program started. Times are
// zero for what never happened.
type record struct {
	check, reload runs
	change        change
}

// runs sums up the runs of a command, and tells of the last one.
type runs struct {
	count, failures int
	at              time.Time
	took            time.Duration
	failed          bool
}

// change is the last replacement of a file.
type change struct {
	at   time.Time
	new  bool   // there was no file before
	diff string // what changeText made of it
}

// counts is what came from a backend.
type counts struct {
	events  int
	resyncs map[string]int // full reads after the first one, by reason
}

// An observer counts the events of an engine for Prometheus, and keeps of them
// what the page shows. It may be used by several goroutines.
type observer struct {
	// changeText makes of what a file held and holds what the page shows.
	changeText func(old, now []byte, public bool) string

	events                     prometheus.Counter
	resyncs, renders, failures *prometheus.CounterVec
	commands                   *prometheus.SummaryVec
	latency                    prometheus.Histogram

	mu        sync.Mutex
	resources map[string]*record
	backends  map[string]*counts
	measured  map[string]bool // resources with metrics of their own
}

// resyncReasons are shown from the beginning, with 0, so that the first
// increase is one.
var resyncReasons = []string{
	backends.ResyncInterval, backends.ResyncCompacted, backends.ResyncReplaced, backends.ResyncOther,
}

// latencyBounds are in seconds. A reload needs at least a fork; past a minute
// it hangs.
var latencyBounds = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

func newObserver(changeText func(old, now []byte, public bool) string) *observer {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	}
	o := &observer{
		changeText: changeText,
		events: prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: "events_total",
			Help: "Changes of keys that were received."}),
		resyncs: counter("backend_resyncs_total",
			"Full reads after the first one, by what called for them.", "reason"),
		renders: counter("renders_total",
			"Attempts to render the template; a failure holds the resource.", "resource", "result"),
		failures: counter("command_failures_total",
			"Runs of the check and reload commands that failed.", "resource", "command"),
		commands: prometheus.NewSummaryVec(prometheus.SummaryOpts{Namespace: namespace, Name: "command_duration_seconds",
			Help: "How long the check and reload commands ran."}, []string{"resource", "command"}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: "change_to_reload_seconds",
			Help: "From the arrival of a change to the end of the reload that told the proxy.", Buckets: latencyBounds}),
		resources: make(map[string]*record), backends: make(map[string]*counts), measured: make(map[string]bool),
	}
	for _, reason := range resyncReasons {
		o.resyncs.WithLabelValues(reason)
	}
	return o
}

func (o *observer) collectors() []prometheus.Collector {
	return []prometheus.Collector{o.events, o.resyncs, o.renders, o.failures, o.commands, o.latency}
}

// observe counts one event.
func (o *observer) observe(ev engine.Event) {
	diff := ""
	if ev.Kind == engine.Installed && (ev.Before != nil || ev.After != nil) && !bytes.Equal(ev.Before, ev.After) {
		diff = o.changeText(ev.Before, ev.After, ev.Public) // outside the lock: it takes long
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	name := label(ev.Resource)
	switch ev.Kind {
	case engine.Received:
		o.events.Add(float64(ev.Count))
		o.backend(ev.Backend).events += ev.Count
	case engine.Resynced:
		o.resyncs.WithLabelValues(ev.Reason).Inc()
		o.backend(ev.Backend).resyncs[ev.Reason]++
	case engine.Rendered:
		result := "success"
		if ev.Err != nil {
			result = "failure"
		}
		o.renders.WithLabelValues(name, result).Inc()
	case engine.Checked:
		o.ran(ev, "check", &o.resource(ev.Resource).check)
	case engine.Reloaded:
		o.ran(ev, "reload", &o.resource(ev.Resource).reload)
		if ev.Latency > 0 {
			o.latency.Observe(ev.Latency.Seconds())
		}
	case engine.Installed:
		o.resource(ev.Resource).change = change{ev.Time, ev.New, diff}
	}
}

func (o *observer) ran(ev engine.Event, command string, r *runs) {
	r.count++
	r.at, r.took, r.failed = ev.Time, ev.Took, ev.Err != nil
	o.commands.WithLabelValues(label(ev.Resource), command).Observe(ev.Took.Seconds())
	if ev.Err != nil {
		r.failures++
		o.failures.WithLabelValues(label(ev.Resource), command).Inc()
	}
}

func (o *observer) resource(name string) *record {
	if o.resources[name] == nil {
		o.resources[name] = &record{}
	}
	return o.resources[name]
}

func (o *observer) backend(name string) *counts {
	if o.backends[name] == nil {
		o.backends[name] = &counts{resyncs: make(map[string]int)}
	}
	return o.backends[name]
}

// measure makes the counters of each resource, with 0, so that the first
// increase is one, and forgets those of resources that are gone.
func (o *observer) measure(resources []engine.ResourceStatus) {
	o.mu.Lock()
	defer o.mu.Unlock()
	present := make(map[string]bool)
	for _, r := range resources {
		present[r.Name] = true
		if r.Dest == "" {
			continue
		}
		o.measured[r.Name] = true
		o.renders.WithLabelValues(label(r.Name), "success")
		o.renders.WithLabelValues(label(r.Name), "failure")
		for command, has := range map[string]bool{"check": r.Checks, "reload": r.Reloads} {
			if has {
				o.commands.WithLabelValues(label(r.Name), command)
				o.failures.WithLabelValues(label(r.Name), command)
			}
		}
	}
	for name := range o.measured {
		if present[name] {
			continue
		}
		gone := prometheus.Labels{"resource": label(name)}
		o.renders.DeletePartialMatch(gone)
		o.commands.DeletePartialMatch(gone)
		o.failures.DeletePartialMatch(gone)
		delete(o.measured, name)
		delete(o.resources, name)
	}
}

// record returns what happened to a resource.
func (o *observer) record(name string) record {
	o.mu.Lock()
	defer o.mu.Unlock()
	if r := o.resources[name]; r != nil {
		return *r
	}
	return record{}
}

// counts returns what came from a backend.
func (o *observer) counts(name string) counts {
	o.mu.Lock()
	defer o.mu.Unlock()
	if b := o.backends[name]; b != nil {
		return counts{b.events, maps.Clone(b.resyncs)}
	}
	return counts{}
}

// label makes the name of a resource fit for a label: a file may have any name.
func label(name string) string { return strings.ToValidUTF8(name, "?") }
