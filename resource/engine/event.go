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
	Err  error         // Rendered, Checked, Reloaded, BackendDown
	// Latency is the time from the arrival of the oldest change that a reload
	// covers; Reloaded, once for each reload that a change caused.
	Latency time.Duration
	Reason  string // Resynced: a Resync constant of package backends
	Count   int    // Received: the number of changes

	// Installed, once the reload has been done, so that nothing waits for
	// whoever makes a diff. Before and After are the contents, nil where one of
	// them is above 256 KiB; Public says that every user of the host could read
	// both; New that there was no file.
	New           bool
	Before, After []byte
	Public        bool
}

func (e *Engine) emit(ev Event) {
	if e.observe == nil {
		return
	}
	ev.Time = time.Now()
	e.observe(ev)
}
