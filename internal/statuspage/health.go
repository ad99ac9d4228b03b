package statuspage

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"pc4patroni/internal/report"
)

const (
	// aliveWithin is how long a worker may take for a sign of life until it
	// passes for stuck. One that waits for a command is alive.
	aliveWithin = 5 * time.Second
	// pollLiveness is the time between looks whether all have shown one.
	pollLiveness = 5 * time.Millisecond
)

// serveHealth asks every worker for a sign of life, and fails with the names of
// those that show none.
func (m *monitor) serveHealth(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), m.aliveWithin)
	defer cancel()
	stuck := m.stuck(ctx)
	if len(stuck) == 0 {
		answerText(w, http.StatusOK, []string{"alive"})
		return
	}
	for i, name := range stuck {
		stuck[i] = "not responding: " + report.OneLine(name)
	}
	answerText(w, http.StatusServiceUnavailable, stuck)
}

// stuck returns the workers that did not respond before ctx was done.
func (m *monitor) stuck(ctx context.Context) []string {
	asked := time.Now()
	poll := time.NewTicker(pollLiveness)
	defer poll.Stop()
	for {
		stuck := m.engine.Stalled(asked)
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
	if reasons := report.NotReady(m.engine.Status()); len(reasons) > 0 {
		answerText(w, http.StatusServiceUnavailable, reasons)
		return
	}
	answerText(w, http.StatusOK, []string{"ready"})
}

func answerText(w http.ResponseWriter, status int, lines []string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, strings.Join(lines, "\n")+"\n") // the asker may have gone
}
