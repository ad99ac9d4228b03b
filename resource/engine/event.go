package engine

import "time"

// EventKind says what happened.
type EventKind int

// The kinds of events.
const (
	Rendered    EventKind = iota // the template was executed
	Checked                      // check_cmd has ended
	Installed                    // the file was replaced
	Reloaded                     // reload_cmd has ended
	Failing                      // a resource is held or failed
	Recovered                    // a resource that was held or failed is fine again
	Resynced                     // a path was read in full after the first time
	Received                     // changes came from a backend
	BackendUp                    // the backend is followed
	BackendDown                  // the backend is away
)

// Event is something that happened, in the order in which it happened to one
// resource.
type Event struct {
	Kind     EventKind
	Time     time.Time
	Resource string // name; "" for events of a backend
	Backend  string

	Took time.Duration // Checked, Reloaded
	Err  error         // Rendered, Checked, Failing, Reloaded, BackendDown
	Held bool          // Failing: it waits for the cluster
	// Latency is the time from the arrival of the oldest change that a reload
	// covers; Reloaded, once for each reload that a change caused.
	Latency time.Duration
	Reason  string // Resynced: a Resync constant of package backends
	Count   int    // Received: the number of changes
	// Change says in words why the file was replaced, as far as that is known;
	// Installed.
	Change string
	// Output is what a command printed that failed; Checked, Reloaded.
	Output string
	// Public says that every user of the host could read the files that Before,
	// After and Output may tell of.
	Public bool

	// Installed, once the reload has been done, so that nothing waits for
	// whoever makes a diff. Before and After are the contents, nil where one of
	// them is above 256 KiB; New says that there was no file. Time is when that
	// was, not when it is told.
	New           bool
	Before, After []byte
}

func (e *Engine) emit(ev Event) {
	if e.observe == nil {
		return
	}
	if ev.Time.IsZero() {
		ev.Time = time.Now()
	}
	e.observe(ev)
}
