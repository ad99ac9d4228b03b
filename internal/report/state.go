package report

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template"

	"pc4patroni/resource/engine"
)

// Level says how much something matters: the colour on the page.
type Level int

// The levels. Warn wants a look, Bad needs somebody.
const (
	OK Level = iota
	Warn
	Bad
)

// String returns "ok", "warn" or "bad".
func (l Level) String() string { return [...]string{"ok", "warn", "bad"}[l] }

// MarshalText writes a level as a word.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// Remark is one fact and how much it matters.
type Remark struct {
	Text  string
	Level Level
}

const (
	// maxNamed is how many resources a summary names.
	maxNamed = 3
	// maxSummary is how many bytes a summary has at most. systemd does not read
	// a message of more than 4096.
	maxSummary = 3000
)

// InSync tells whether nothing is left to do for a resource.
func InSync(r *engine.ResourceStatus) bool {
	return (r.State == engine.InSync || r.State == engine.Changed) && !r.ReloadPending
}

// State names the state of a resource.
func State(r *engine.ResourceStatus) Remark {
	switch {
	case r.State == engine.Failed && r.Dest == "":
		return Remark{"cannot be used", Bad}
	case r.State == engine.Failed:
		return Remark{"failed", Bad}
	case r.State == engine.Held:
		return Remark{"held", Warn}
	case r.ReloadPending:
		return Remark{"reload pending", Warn}
	case r.State == engine.Waiting:
		return Remark{"waiting for its keys", Warn}
	case r.State == engine.Pending:
		return Remark{"would change", Warn}
	}
	return Remark{"in sync", OK}
}

// backendState names the state of a backend.
func backendState(b *engine.BackendStatus) Remark {
	switch {
	case b.Connected:
		return Remark{"connected", OK}
	case b.Err == nil:
		return Remark{"not read yet", Warn}
	}
	return Remark{"away", Warn}
}

// trouble says in one line what is wrong with a resource, "" if nothing is.
func trouble(r *engine.ResourceStatus) string {
	state := State(r)
	if state.Level == OK {
		return ""
	}
	words := OneLine(r.Name) + " " + state.Text
	if r.Err == nil {
		return words
	}
	err := r.Err
	if exec, ok := errors.AsType[template.ExecError](err); ok && r.State == engine.Held {
		// What the cluster lacks says it; where the template asks for it is in the log.
		err = cmp.Or(errors.Unwrap(exec.Err), err)
	}
	// One mistake will do; the page and the log have them all.
	first, _, _ := strings.Cut(err.Error(), "\n")
	return words + ": " + OneLine(first)
}

// NotReady returns why files may not be what they should be as far as is
// known, a line for each reason. A resource that is held is no reason: the
// cluster has, for example, no primary now. Neither is a backend that is away:
// the files are right until something else is known.
func NotReady(status engine.Status) []string {
	if isStarting(status) {
		return []string{"starting"}
	}
	var reasons []string
	for i := range status.Resources {
		r := &status.Resources[i]
		if r.State != engine.Held && r.State != engine.Pending && !InSync(r) {
			reasons = append(reasons, trouble(r))
		}
	}
	return reasons
}

// isStarting tells whether the engine has not begun.
func isStarting(status engine.Status) bool {
	return len(status.Resources) == 0 && len(status.Backends) == 0
}

// outdated is what somebody should do who edited the configuration.
const outdated = "the configuration on disk differs from the one that runs: run systemctl reload"

// Troubles returns all that somebody should look at, a line each.
func Troubles(status engine.Status) []Remark {
	var found []Remark
	if status.Outdated {
		found = append(found, Remark{outdated, Warn})
	}
	for i := range status.Resources {
		if words := trouble(&status.Resources[i]); words != "" {
			found = append(found, Remark{words, State(&status.Resources[i]).Level})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(status.Backends)) {
		if b := status.Backends[name]; !b.Connected && b.Err != nil {
			found = append(found, Remark{fmt.Sprintf("%s away since %s: %s",
				OneLine(name), b.Since.Format("2006-01-02 15:04:05"), OneLine(b.Err.Error())), Warn})
		}
	}
	return found
}

// Summary says in one line how the daemon is doing.
func Summary(status engine.Status) string {
	var inSync, all int
	var resources, backends []string
	for i := range status.Resources {
		r := &status.Resources[i]
		if r.Dest != "" { // a broken file may have a version before it that goes on
			all++
			if InSync(r) {
				inSync++
			}
		}
		if words := trouble(r); words != "" && r.State != engine.Waiting {
			resources = append(resources, words)
		}
	}
	for _, t := range Troubles(engine.Status{Backends: status.Backends, Outdated: status.Outdated}) {
		backends = append(backends, t.Text)
	}
	count := fmt.Sprintf("%d of %d resources in sync", inSync, all)
	switch {
	case inSync == all && all == 1:
		count = "1 resource in sync"
	case inSync == all:
		count = fmt.Sprintf("%d resources in sync", all)
	case all == 1:
		count = "0 of 1 resource in sync"
	}
	if more := len(resources) - maxNamed; more > 0 {
		resources = append(resources[:maxNamed], fmt.Sprintf("and %d more", more))
	}
	words := strings.Join(slices.Concat([]string{count}, resources, backends), "; ")
	if len(words) > maxSummary {
		words = strings.ToValidUTF8(words[:maxSummary], "") + "..."
	}
	return words
}
