package report

import (
	"slices"
	"time"

	"pc4patroni/backends"
	"pc4patroni/resource/engine"
)

// MaxEvents is how many events a log keeps.
const MaxEvents = 200

// Event is something that happened, in words. What goes on failing in the same
// way is one event.
type Event struct {
	At       time.Time `json:"at"`       // the last time
	Since    time.Time `json:"since"`    // the first time
	Count    int       `json:"count"`    // of times
	Resource string    `json:"resource"` // "" if it happened to the backend
	Backend  string    `json:"backend"`
	Level    Level     `json:"level"`
	Text     string    `json:"text"`
}

// EventLog is the last events in the order of their times.
type EventLog struct {
	events []Event
	down   map[string]time.Time // backends that are away, and since when
}

// Newest returns the events, the newest first.
func (l *EventLog) Newest() []Event {
	newest := slices.Clone(l.events)
	slices.Reverse(newest)
	return newest
}

// Add adds an event of the engine if it is worth telling.
func (l *EventLog) Add(ev engine.Event) {
	level, text := l.words(ev)
	if text == "" {
		return
	}
	at := ev.Time.UTC()
	e := Event{at, at, 1, ev.Resource, ev.Backend, level, OneLine(text)}
	if level > OK {
		for i := len(l.events) - 1; i >= 0; i-- {
			last := l.events[i]
			if last.Resource != e.Resource || last.Backend != e.Backend {
				continue
			}
			if last.Text == e.Text {
				e.Since, e.Count = last.Since, last.Count+1
				l.events = slices.Delete(l.events, i, i+1)
			}
			break
		}
	}
	// The replacement of a file is told after the reload.
	i := len(l.events)
	for i > 0 && l.events[i-1].At.After(at) {
		i--
	}
	l.events = slices.Insert(l.events, i, e)
	if len(l.events) > MaxEvents {
		l.events = slices.Delete(l.events, 0, 1)
	}
}

// words says what happened, "" if that is of no interest.
func (l *EventLog) words(ev engine.Event) (Level, string) {
	if l.down == nil {
		l.down = make(map[string]time.Time)
	}
	switch ev.Kind {
	case engine.Failing:
		if ev.Held {
			return Warn, "held: " + ev.Err.Error()
		}
		return Bad, ev.Err.Error()
	case engine.Installed:
		switch {
		case ev.New && ev.Change == "":
			return OK, "file created"
		case ev.Change == "":
			return OK, "file replaced"
		}
		return OK, "file replaced: " + ev.Change
	case engine.Reloaded:
		if ev.Err != nil {
			return Bad, "reload failed: " + ev.Err.Error()
		}
		return OK, "reloaded in " + Duration(ev.Took)
	case engine.Recovered:
		return OK, "recovered"
	case engine.Resynced:
		if ev.Reason != backends.ResyncInterval {
			return OK, "read again in full (" + ev.Reason + ")"
		}
	case engine.BackendDown:
		l.down[ev.Backend] = ev.Time
		return Warn, "away: " + ev.Err.Error()
	case engine.BackendUp:
		since, wasDown := l.down[ev.Backend]
		delete(l.down, ev.Backend)
		if wasDown {
			return OK, "back after " + Duration(ev.Time.Sub(since))
		}
		return OK, "first read"
	}
	return OK, ""
}
