package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"pc4patroni/resource"
)

const (
	// aliveWithin is how long a loop may take for a turn until it passes for
	// dead. A loop that runs a command is alive for as long as that may take.
	aliveWithin = 5 * time.Second
	// pollTurns is how often it is looked whether all loops took theirs.
	pollTurns = 5 * time.Millisecond
)

// serveHealth has every loop take a turn, and fails with the names of those
// that do not.
func (m *monitor) serveHealth(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), m.aliveWithin)
	defer cancel()
	if stuck := m.stuck(ctx); len(stuck) > 0 {
		answerText(w, http.StatusServiceUnavailable, prefixed("no sign of life from ", stuck))
		return
	}
	answerText(w, http.StatusOK, []string{"alive"})
}

// stuck returns the loops that took no turn before ctx was done.
func (m *monitor) stuck(ctx context.Context) []string {
	asked := time.Now()
	poll := time.NewTicker(pollTurns)
	defer poll.Stop()
	for {
		stuck := m.engine.Stuck(asked)
		if len(stuck) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return stuck
		case <-poll.C:
		}
	}
}

// serveReadiness fails with the reasons while the files may not be what they
// should be.
func (m *monitor) serveReadiness(w http.ResponseWriter, _ *http.Request) {
	if reasons := unready(m.engine.Status()); len(reasons) > 0 {
		answerText(w, http.StatusServiceUnavailable, reasons)
		return
	}
	answerText(w, http.StatusOK, []string{"ready"})
}

// unready returns why the program is not ready, one line for each reason. A
// resource that is held is no reason: its file stays as it was, because the
// cluster itself has, for example, no primary now.
func unready(status resource.Status) []string {
	if len(status.Backends) == 0 {
		return []string{"starting"}
	}
	var reasons []string
	for _, name := range slices.Sorted(maps.Keys(status.Backends)) {
		switch b := status.Backends[name]; {
		case b.Connected:
		case b.Err == nil:
			reasons = append(reasons, fmt.Sprintf("backend %s: not read yet", oneLine(name)))
		default:
			reasons = append(reasons, fmt.Sprintf("backend %s: away since %s: %s",
				oneLine(name), b.Since.UTC().Format(time.RFC3339), oneLine(b.Err.Error())))
		}
	}
	for _, r := range status.Results {
		name := oneLine(r.Name)
		switch {
		case r.State == resource.Failed && r.Dest == "":
			// One mistake will do; the page and the log have them all.
			mistake, _, _ := strings.Cut(r.Err.Error(), "\n")
			reasons = append(reasons, fmt.Sprintf("resource %s: cannot be used: %s", name, oneLine(mistake)))
		case r.State == resource.Failed:
			reasons = append(reasons, fmt.Sprintf("resource %s: failed: %s", name, oneLine(r.Err.Error())))
		case r.State == resource.Waiting:
			reasons = append(reasons, fmt.Sprintf("resource %s: waits for its keys", name))
		case r.ReloadOwed:
			reasons = append(reasons, fmt.Sprintf("resource %s: owes a reload", name))
		}
	}
	return reasons
}

func prefixed(prefix string, names []string) []string {
	lines := make([]string, len(names))
	for i, name := range names {
		lines[i] = prefix + oneLine(name)
	}
	return lines
}

func answerText(w http.ResponseWriter, status int, lines []string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, strings.Join(lines, "\n")+"\n") // the asker may have gone
}
