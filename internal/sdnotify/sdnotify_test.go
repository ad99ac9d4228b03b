package sdnotify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fakeEngine is what a Notifier looks at, and its status.
type fakeEngine struct {
	ready chan struct{}

	mu      sync.Mutex
	status  string
	stalled []string
}

func (e *fakeEngine) Ready() <-chan struct{} { return e.ready }

func (e *fakeEngine) Status() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.status
}

func (e *fakeEngine) Stalled(time.Time) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stalled
}

func (e *fakeEngine) set(status string, stalled ...string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.status, e.stalled = status, stalled
}

// manager is systemd as a notifier sees it, and the time as it passes for both.
type manager struct {
	t        *testing.T
	engine   *fakeEngine
	notifier *Notifier
	stop     context.CancelFunc
	finished chan struct{}
	log      bytes.Buffer // to be read after heard
	began    time.Time

	mu   sync.Mutex
	away bool // messages do not arrive
	got  []string
}

func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// managed runs the test with a notifier, inside a bubble of its own time.
func managed(t *testing.T, watchdog time.Duration, test func(*manager)) {
	synctest.Test(t, func(t *testing.T) {
		m := &manager{t: t, engine: &fakeEngine{ready: make(chan struct{})}, finished: make(chan struct{}), began: time.Now()}
		m.engine.set("1 resource in sync")
		log := slog.New(slog.NewTextHandler(&m.log, &slog.HandlerOptions{ReplaceAttr: withoutTime}))
		grace := func() time.Duration { return 30 * time.Second }
		getenv := map[string]string{"NOTIFY_SOCKET": "@nobody"}
		if watchdog > 0 {
			getenv["WATCHDOG_USEC"] = fmt.Sprint(watchdog.Microseconds())
		}
		m.notifier = New(m.engine, m.engine.Status, grace, func(name string) string { return getenv[name] }, log)
		m.notifier.send = m.receive
		stop, cancel := context.WithCancel(t.Context())
		m.stop = cancel
		var done sync.WaitGroup
		done.Go(func() { m.notifier.Run(stop, m.finished) })
		test(m)
		close(m.finished)
		done.Wait()
		cancel()
	})
}

var monotonicValue = regexp.MustCompile(`MONOTONIC_USEC=[1-9][0-9]*`)

func (m *manager) receive(state string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return errors.New("connection refused")
	}
	state = monotonicValue.ReplaceAllString(state, "MONOTONIC_USEC=N")
	at := time.Since(m.began).Round(time.Second)
	m.got = append(m.got, fmt.Sprintf("%v %s", at, strings.ReplaceAll(state, "\n", " | ")))
	return nil
}

// heard fails the test unless exactly these messages came since the last call.
func (m *manager) heard(want ...string) {
	m.t.Helper()
	synctest.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	if diff := cmp.Diff(want, m.got); diff != "" {
		m.t.Errorf("messages (-want +got):\n%s", diff)
	}
	m.got = nil
}

func (m *manager) goAway(away bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away = away
}

func TestNotifierStart(t *testing.T) {
	managed(t, 0, func(m *manager) {
		m.heard("0s STATUS=starting: 1 resource in sync")
		m.engine.set("etcd x is away")
		time.Sleep(20 * time.Second)
		m.heard("1s STATUS=starting: etcd x is away")
		m.engine.set("1 resource in sync")
		close(m.engine.ready)
		m.heard("20s READY=1 | STATUS=1 resource in sync")
		time.Sleep(time.Hour)
		m.heard()
		// The status is told when it changes, and not again.
		m.engine.set("2 resources in sync")
		time.Sleep(time.Hour)
		m.heard("1h0m21s STATUS=2 resources in sync")
	})
}

// TestNotifierStartWithoutEtcd has systemctl start end although nothing can be
// reconciled.
func TestNotifierStartWithoutEtcd(t *testing.T) {
	managed(t, 0, func(m *manager) {
		m.heard("0s STATUS=starting: 1 resource in sync")
		m.engine.set("etcd x is away")
		time.Sleep(time.Hour)
		m.heard("1s STATUS=starting: etcd x is away", "30s READY=1 | STATUS=etcd x is away")
		m.notifier.Reloading(true)
		m.heard("1h0m0s RELOADING=1 | MONOTONIC_USEC=N | STATUS=reloading the configuration")
		// The first reconcile ends now. The reload does not.
		close(m.engine.ready)
		m.heard()
		m.notifier.Reloading(false)
		m.heard("1h0m0s READY=1 | STATUS=etcd x is away")
	})
}

func TestNotifierWatchdog(t *testing.T) {
	managed(t, 30*time.Second, func(m *manager) {
		close(m.engine.ready)
		m.heard("0s STATUS=starting: 1 resource in sync", "0s READY=1 | STATUS=1 resource in sync")
		time.Sleep(25 * time.Second)
		m.heard("10s WATCHDOG=1", "20s WATCHDOG=1")
		m.engine.set("1 resource in sync", "b", "a")
		time.Sleep(time.Minute)
		m.heard()
		m.engine.set("1 resource in sync")
		time.Sleep(10 * time.Second)
		m.heard("1m30s WATCHDOG=1")
		want := `level=ERROR msg="worker stuck; withholding watchdog ping" workers="[a b]"
level=INFO msg="every worker is alive again"
`
		if got := m.log.String(); got != want {
			t.Errorf("log:\n%s\nwant:\n%s", got, want)
		}
	})
}

// TestNotifierStartThatHangs leaves such a start to systemd's timeout.
func TestNotifierStartThatHangs(t *testing.T) {
	managed(t, 0, func(m *manager) {
		m.engine.set("1 resource in sync", "engine")
		time.Sleep(time.Hour)
		m.heard("0s STATUS=starting: 1 resource in sync")
	})
}

func TestNotifierReload(t *testing.T) {
	managed(t, 0, func(m *manager) {
		m.heard("0s STATUS=starting: 1 resource in sync")
		// Before it is ready, READY=1 after the reading would not be true.
		m.notifier.Reloading(true)
		m.notifier.Reloading(false)
		m.heard()
		// It becomes ready while it reads.
		m.notifier.Reloading(true)
		close(m.engine.ready)
		m.heard("0s READY=1 | STATUS=1 resource in sync")
		m.notifier.Reloading(false)
		m.heard()

		time.Sleep(time.Second)
		m.notifier.Reloading(true)
		m.heard("1s RELOADING=1 | MONOTONIC_USEC=N | STATUS=reloading the configuration")
		// A unit that changed may be busy with a command.
		time.Sleep(20 * time.Second)
		m.heard("15s EXTEND_TIMEOUT_USEC=60000000")
		m.notifier.Reloading(false)
		m.heard("21s READY=1 | STATUS=1 resource in sync")
	})
}

func TestNotifierStop(t *testing.T) {
	managed(t, 30*time.Second, func(m *manager) {
		close(m.engine.ready)
		m.heard("0s STATUS=starting: 1 resource in sync", "0s READY=1 | STATUS=1 resource in sync")
		m.notifier.Reloading(true)
		m.heard("0s RELOADING=1 | MONOTONIC_USEC=N | STATUS=reloading the configuration")
		m.stop()
		m.heard("0s STOPPING=1 | EXTEND_TIMEOUT_USEC=30000000 | STATUS=stopping: waiting for running commands")
		// There is no way back, and the watchdog is served to the end.
		m.notifier.Reloading(false)
		time.Sleep(20 * time.Second)
		m.heard("10s WATCHDOG=1", "20s WATCHDOG=1")
	})
}

// TestNotifierMakesUpForLostMessages is about a systemd that is being restarted.
func TestNotifierMakesUpForLostMessages(t *testing.T) {
	managed(t, 0, func(m *manager) {
		m.heard("0s STATUS=starting: 1 resource in sync")
		m.goAway(true)
		close(m.engine.ready)
		time.Sleep(5 * time.Second)
		m.heard()
		m.goAway(false)
		time.Sleep(time.Second)
		m.heard("6s READY=1 | STATUS=1 resource in sync")
		want := `level=WARN msg="cannot notify systemd" err="connection refused"` + "\n"
		if got := m.log.String(); got != want {
			t.Errorf("log:\n%s\nwant:\n%s", got, want)
		}
	})
}

// TestNotifierOfNobody is the program without systemd.
func TestNotifierOfNobody(t *testing.T) {
	var n *Notifier
	n.Reloading(true)
	n.Run(t.Context(), nil)
}
