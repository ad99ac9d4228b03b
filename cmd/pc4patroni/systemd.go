package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"pc4patroni/resource"
)

// watched is what the notifier looks at: the engine.
type watched interface {
	Ready() <-chan struct{}
	Status() resource.Status
	Stuck(since time.Time) []string
}

// phase is what systemd knows a service to be in.
type phase int

const (
	phaseUntold phase = iota
	phaseStarting
	phaseRunning
	phaseReading // the configuration again
	phaseStopping
)

const (
	// lookEvery is how often it is looked whether the status has changed.
	lookEvery = time.Second
	// pulseEvery is how often loops are asked for a turn where systemd's
	// watchdog does not say.
	pulseEvery = 15 * time.Second
	// leastExtension is how far a start is put off at least. Each pulse puts it off
	// anew.
	leastExtension = time.Minute
)

// A notifier tells systemd how the program is doing, as sd_notify(3) has it.
// One goroutine runs it and owns what is below; reading may be called by
// another. A nil notifier tells nobody.
type notifier struct {
	engine watched
	// send hands one message to systemd. It does not block for long.
	send func(state string) error
	// watchdog is how long systemd waits for a sign of life; 0 is for ever.
	watchdog time.Duration
	// grace is how long stopping may take.
	grace func() time.Duration
	log   *slog.Logger

	readings chan bool     // that reading the configuration began, or is over
	ended    chan struct{} // closed when run returns

	phase phase
	// What systemd was told last. Telling it the difference makes up for a
	// message that could not be sent.
	toldPhase phase
	toldWords string
	failing   bool // the last message could not be sent

	asked time.Time // when the loops were asked for a turn last
	stuck []string  // those that did not take one
}

func newNotifier(engine watched, send func(string) error, watchdog time.Duration, grace func() time.Duration, log *slog.Logger) *notifier {
	return &notifier{
		engine:   engine,
		send:     send,
		watchdog: watchdog,
		grace:    grace,
		log:      log,
		readings: make(chan bool),
		ended:    make(chan struct{}),
		phase:    phaseStarting,
	}
}

// reading tells that the configuration is being read again, or no longer.
func (n *notifier) reading(begins bool) {
	if n == nil {
		return
	}
	select {
	case n.readings <- begins:
	case <-n.ended:
	}
}

// run tells systemd what happens until finished is closed.
func (n *notifier) run(stop context.Context, finished <-chan struct{}) {
	if n == nil {
		return
	}
	defer close(n.ended)
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	pulse := time.NewTicker(n.pulseEvery())
	defer pulse.Stop()
	ready, stopped := n.engine.Ready(), stop.Done()
	n.ask()
	n.tell()
	for {
		select {
		case <-finished:
			return
		case <-ready:
			ready = nil
			n.enter(phaseRunning)
		case <-stopped:
			stopped = nil
			n.enter(phaseStopping)
		case begins := <-n.readings:
			if n.phase == phaseStarting {
				// READY=1 at the end of the reading would claim a start that has
				// not come about.
				break
			}
			if begins {
				n.enter(phaseReading)
			} else {
				n.enter(phaseRunning)
			}
		case <-look.C:
		case <-pulse.C:
			n.pulse()
		}
		n.tell()
	}
}

// pulseEvery leaves time for two more tries before the watchdog bites.
func (n *notifier) pulseEvery() time.Duration {
	if n.watchdog == 0 {
		return pulseEvery
	}
	return n.watchdog / 3
}

// enter changes the phase. There is no way back from stopping.
func (n *notifier) enter(next phase) {
	if n.phase != phaseStopping {
		n.phase = next
	}
}

// tell sends what systemd does not know yet.
func (n *notifier) tell() {
	var lines []string
	if n.phase != n.toldPhase {
		lines = n.announcement()
	}
	words := n.words()
	if words != n.toldWords {
		lines = append(lines, "STATUS="+words)
	}
	if len(lines) > 0 && n.post(lines...) {
		n.toldPhase, n.toldWords = n.phase, words
	}
}

// announcement returns what says that the phase was entered.
func (n *notifier) announcement() []string {
	switch n.phase {
	case phaseRunning:
		return []string{"READY=1"}
	case phaseReading:
		return []string{"RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", monotonic()/time.Microsecond)}
	case phaseStopping:
		return []string{"STOPPING=1", extend(n.grace() + endsWithin)}
	default:
		return []string{extend(n.extension())}
	}
}

// words says how things are in one line.
func (n *notifier) words() string {
	switch n.phase {
	case phaseStopping:
		return "stopping: running commands may finish"
	case phaseReading:
		return "reading the configuration again"
	case phaseStarting:
		return "starting: " + statusWords(n.engine.Status())
	default:
		return statusWords(n.engine.Status())
	}
}

// post sends one message and tells whether that worked. That it does not is
// logged once.
func (n *notifier) post(lines ...string) bool {
	err := n.send(strings.Join(lines, "\n"))
	if err != nil && !n.failing {
		n.log.Warn("systemd cannot be told how the service is", "err", err)
	}
	n.failing = err != nil
	return err == nil
}

// pulse passes the signs of life on to systemd: that of every loop that does
// the work, or none.
func (n *notifier) pulse() {
	if !n.ask() {
		return
	}
	var lines []string
	if n.watchdog > 0 {
		lines = append(lines, "WATCHDOG=1")
	}
	if n.phase == phaseStarting || n.phase == phaseReading {
		lines = append(lines, extend(n.extension()))
	}
	if len(lines) > 0 {
		n.post(lines...)
	}
}

// ask has every loop take a turn, and tells whether every one did since it was
// asked last.
func (n *notifier) ask() bool {
	since := n.asked
	n.asked = time.Now()
	stuck := n.engine.Stuck(since)
	if since.IsZero() {
		return true // nobody was asked yet
	}
	slices.Sort(stuck)
	switch {
	case slices.Equal(stuck, n.stuck):
	case len(stuck) == 0:
		n.log.Info("every loop turns again")
	default:
		n.log.Error("a loop does not turn, systemd is not told that all is well", "stuck", stuck)
	}
	n.stuck = stuck
	return len(stuck) == 0
}

// extension is for how long a start is put off at each pulse.
func (n *notifier) extension() time.Duration { return max(leastExtension, 3*n.pulseEvery()) }

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
