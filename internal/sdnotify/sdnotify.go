// Package sdnotify tells systemd how the daemon is doing, by the protocol of
// sd_notify(3): ready, reloading, stopping, a status in words, and the
// watchdog's sign of life from the goroutines that do the work.
package sdnotify

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Engine is what a Notifier reports on. Its methods may be called at any time
// and do not block.
type Engine interface {
	// Ready is closed after the first full reconcile.
	Ready() <-chan struct{}
	// Stalled returns the names of workers that have not responded since
	// that time. A call asks for the next sign.
	Stalled(since time.Time) []string
}

// phase is what systemd knows a service to be in.
type phase int

const (
	phaseStarting phase = iota
	phaseRunning
	phaseReloading
	phaseStopping
)

const (
	// statusEvery is the time between looks for a changed status.
	statusEvery = time.Second
	// livenessEvery is the time between checks of liveness where systemd's
	// watchdog does not say.
	livenessEvery = 15 * time.Second
	// readyWithin is how long systemd waits for the first reconcile. Without
	// etcd there is none, and systemctl start must not wait for ever.
	readyWithin = 30 * time.Second
	// minExtension is how much time a reload is given at least. Each check of
	// liveness gives it anew.
	minExtension = time.Minute
)

// A Notifier talks to systemd. The goroutine of Run owns what is below ended;
// Reloading may be called by another. A nil Notifier talks to nobody.
type Notifier struct {
	engine     Engine
	status     func() string
	stopWithin func() time.Duration
	send       func(state string) error // does not block for long
	watchdog   time.Duration            // how long systemd waits for a sign of life; 0 is for ever
	log        *slog.Logger

	reloads chan bool     // a reload of the configuration begins, or is over
	ended   chan struct{} // closed when Run returns

	phase phase
	// What systemd was told last. Telling it the difference makes up for a
	// message that could not be sent.
	toldPhase  phase
	toldStatus string
	failing    bool // the last message could not be sent

	asked   time.Time // when the workers were asked for a sign of life
	stalled []string
}

// New returns a Notifier for the systemd that getenv's variables name, or nil
// if the program was not started by it. status says in one line how the engine
// is doing, stopWithin how long stopping may take.
func New(engine Engine, status func() string, stopWithin func() time.Duration, getenv func(string) string, log *slog.Logger) *Notifier {
	path := getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	watchdog, err := watchdogTimeout(getenv("WATCHDOG_USEC"), getenv("WATCHDOG_PID"), os.Getpid())
	if err != nil {
		log.Warn("ignoring systemd's watchdog", "err", err)
	}
	return &Notifier{
		engine: engine, status: status, stopWithin: stopWithin, watchdog: watchdog, log: log,
		send:    func(state string) error { return send(path, state) },
		reloads: make(chan bool), ended: make(chan struct{}),
	}
}

// Reloading tells that a reload of the configuration begins or is over.
func (n *Notifier) Reloading(begins bool) {
	if n == nil {
		return
	}
	select {
	case n.reloads <- begins:
	case <-n.ended:
	}
}

// Run tells systemd what happens until finished is closed. stop is done when
// the program is told to end.
func (n *Notifier) Run(stop context.Context, finished <-chan struct{}) {
	if n == nil {
		return
	}
	defer close(n.ended)
	status, liveness := time.Tick(statusEvery), time.Tick(n.livenessEvery())
	ready, stopped, late := n.engine.Ready(), stop.Done(), time.After(readyWithin)
	n.alive()
	n.tell()
	for {
		select {
		case <-finished:
			return
		case <-ready:
			ready = nil
			n.started()
		case <-late:
			if len(n.stalled) == 0 {
				n.started()
			}
		case <-stopped:
			stopped = nil
			n.phase = phaseStopping
		case begins := <-n.reloads:
			switch {
			case n.phase == phaseStarting: // READY=1 after the reload would claim a start that did not happen
			case n.phase == phaseStopping: // there is no way back
			case begins:
				n.phase = phaseReloading
			default:
				n.phase = phaseRunning
			}
		case <-status:
		case <-liveness:
			n.heartbeat()
		}
		n.tell()
	}
}

// livenessEvery leaves time for two more tries before the watchdog bites.
func (n *Notifier) livenessEvery() time.Duration { return cmp.Or(n.watchdog/3, livenessEvery) }

// started ends the start, unless it has ended.
func (n *Notifier) started() {
	if n.phase == phaseStarting {
		n.phase = phaseRunning
	}
}

// tell sends what systemd does not know yet: the phase, and the status in one
// line.
func (n *Notifier) tell() {
	var lines []string
	var status string
	switch n.phase {
	case phaseStarting:
		status = "starting: " + n.status()
	case phaseRunning:
		lines, status = []string{"READY=1"}, n.status()
	case phaseReloading:
		lines, status = []string{"RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", monotonic()/time.Microsecond)}, "reloading the configuration"
	case phaseStopping:
		lines, status = []string{"STOPPING=1", extend(n.stopWithin())}, "stopping: waiting for running commands"
	}
	if n.phase == n.toldPhase {
		lines = nil
	}
	if status != n.toldStatus {
		lines = append(lines, "STATUS="+status)
	}
	if n.post(lines) {
		n.toldPhase, n.toldStatus = n.phase, status
	}
}

// post sends one message, if it has lines, and tells whether that worked. A
// failure is logged once.
func (n *Notifier) post(lines []string) bool {
	if len(lines) == 0 {
		return true
	}
	err := n.send(strings.Join(lines, "\n"))
	if err != nil && !n.failing {
		n.log.Warn("cannot notify systemd", "err", err)
	}
	n.failing = err != nil
	return err == nil
}

// heartbeat passes a sign of life on to systemd: of every worker, or none.
func (n *Notifier) heartbeat() {
	if !n.alive() {
		return
	}
	var lines []string
	if n.watchdog > 0 {
		lines = append(lines, "WATCHDOG=1")
	}
	if n.phase == phaseReloading {
		lines = append(lines, extend(max(minExtension, 3*n.livenessEvery())))
	}
	n.post(lines)
}

// alive tells whether every worker showed a sign of life since the last call.
func (n *Notifier) alive() bool {
	since := n.asked
	n.asked = time.Now()
	stalled := n.engine.Stalled(since)
	if since.IsZero() {
		return true // nobody was asked yet
	}
	slices.Sort(stalled)
	switch {
	case slices.Equal(stalled, n.stalled):
	case len(stalled) == 0:
		n.log.Info("every worker is alive again")
	default:
		n.log.Error("worker stuck; withholding watchdog ping", "workers", stalled)
	}
	n.stalled = stalled
	return len(stalled) == 0
}

func extend(d time.Duration) string {
	return fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", d/time.Microsecond)
}

// monotonic returns the reading of CLOCK_MONOTONIC, by which systemd tells
// this reload from an earlier one.
func monotonic() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0 // Linux always has that clock
	}
	return time.Duration(ts.Nano())
}
