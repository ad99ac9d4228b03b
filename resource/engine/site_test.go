package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pc4patroni/backends"
	"pc4patroni/resource"
)

// site is a configuration in a temporary folder, with the files it makes in
// out/ and what its engine logged.
type site struct {
	t       *testing.T
	dir     string
	load    resource.Options
	opts    Options
	backend *fakeBackend
	log     logBuffer
	events  eventLog
}

type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

type eventLog struct {
	mu  sync.Mutex
	all []Event
}

func (l *eventLog) add(ev Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, ev)
}

// of returns the events of a kind that concern a resource; "" is any.
func (l *eventLog) of(kind EventKind, resource string) []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	var some []Event
	for _, ev := range l.all {
		if ev.Kind == kind && (resource == "" || ev.Resource == resource) {
			some = append(some, ev)
		}
	}
	return some
}

// newSite writes files (pairs of a path below the folder and its content) and
// returns the site. OUT in a file's content stands for the folder out/.
func newSite(t *testing.T, keys map[string]string, files ...string) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), backend: newFake(keys)}
	for _, dir := range []string{"conf.d", "templates", "out"} {
		if err := os.Mkdir(filepath.Join(s.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < len(files); i += 2 {
		s.write(files[i], files[i+1])
	}
	s.load = resource.Options{ConfDir: s.dir}
	s.opts = Options{
		Interval: time.Hour,
		Watch:    true,
		Environ:  os.Environ(),
		Open:     func(string) (backends.Backend, error) { return s.backend, nil },
		Observe:  s.events.add,
		Logger:   slog.New(slog.NewTextHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	return s
}

func (s *site) out(name string) string { return filepath.Join(s.dir, "out", name) }

func (s *site) write(name, text string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "OUT", s.out("")+"/")), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) read(name string) string {
	s.t.Helper()
	return readFile(s.t, s.out(name))
}

func (s *site) set() *resource.Set {
	s.t.Helper()
	s.load.DestDir = s.opts.DestDir
	set, err := resource.Load(s.load)
	if err != nil {
		s.t.Fatal(err)
	}
	return set
}

func (s *site) once() map[string]ResourceStatus {
	s.t.Helper()
	results := map[string]ResourceStatus{}
	for _, res := range New(s.opts).Once(s.t.Context(), s.t.Context(), s.set(), 300*time.Millisecond) {
		results[res.Name] = res
	}
	return results
}

func (s *site) wantState(results map[string]ResourceStatus, name string, want State, err string) {
	s.t.Helper()
	got := results[name]
	if got.State != want {
		s.t.Errorf("%s is %v (%v), want %v\n%s", name, got.State, got.Err, want, s.log.String())
	}
	text := ""
	if got.Err != nil {
		text = strings.ReplaceAll(got.Err.Error(), s.dir, "DIR")
	}
	if text != err {
		s.t.Errorf("error of %s:\n got %q\nwant %q", name, text, err)
	}
}

// wantFiles compares the names in out/.
func (s *site) wantFiles(want ...string) {
	s.t.Helper()
	entries, err := os.ReadDir(s.out(""))
	if err != nil {
		s.t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("files in out/ (-want +got):\n%s", diff)
	}
}

// daemon is an engine that runs until the test is over.
type daemon struct {
	*site
	engine *Engine
	stop   context.CancelCauseFunc
	done   chan error
}

func (s *site) start() *daemon {
	s.t.Helper()
	set := s.set()
	run := &daemon{site: s, engine: New(s.opts), done: make(chan error, 1)}
	var stop context.Context
	stop, run.stop = context.WithCancelCause(context.Background())
	go func() { run.done <- run.engine.Run(stop, context.Background(), set) }()
	s.t.Cleanup(func() {
		run.stop(errors.New("the test is over"))
		if err := <-run.done; err != nil {
			s.t.Errorf("Run: %v", err)
		}
		if s.t.Failed() {
			s.t.Log(s.log.String())
		}
	})
	return run
}

func (s *site) startWith(interval time.Duration, watch bool) *daemon {
	s.opts.Interval, s.opts.Watch = interval, watch
	return s.start()
}

func (d *daemon) ready() {
	d.t.Helper()
	select {
	case <-d.engine.Ready():
	case <-time.After(20 * time.Second):
		d.t.Fatalf("never ready:\n%s", d.log.String())
	}
}

func (d *daemon) isReady() bool {
	select {
	case <-d.engine.Ready():
		return true
	default:
		return false
	}
}

func (d *daemon) waitFile(name, want string) {
	d.t.Helper()
	waitFor(d.t, fmt.Sprintf("%s to be %q", name, want), func() bool {
		got, err := os.ReadFile(d.out(name))
		return err == nil && string(got) == want
	})
}

func (d *daemon) waitState(name string, want State) {
	d.t.Helper()
	waitFor(d.t, fmt.Sprintf("%s to be %v", name, want), func() bool { return d.state(name).State == want })
}

func (d *daemon) waitLog(want string) {
	d.t.Helper()
	waitFor(d.t, "the log to contain "+want, func() bool { return strings.Contains(d.log.String(), want) })
}

func (d *daemon) state(name string) ResourceStatus {
	for _, res := range d.engine.Status().Resources {
		if res.Name == name {
			return res
		}
	}
	return ResourceStatus{}
}

// reload is for any goroutine.
func (d *daemon) reload() {
	d.t.Helper()
	set, err := resource.Load(d.load)
	if err != nil {
		d.t.Error(err)
		return
	}
	if err := d.engine.Reload(d.t.Context(), d.opts, set); err != nil {
		d.t.Error(err)
	}
}

func (d *daemon) connected() bool { return d.engine.Status().Backends[""].Connected }

var twoKeys = map[string]string{"/app/host": "10.0.0.1", "/app/port": "5432"}

const (
	plainTemplate = "server {{getv \"/host\"}}:{{getv \"/port\"}}\n"
	hostTemplate  = "{{getv \"/host\"}}\n"
	plainResource = "[template]\nprefix = \"/app\"\nsrc = \"a.tmpl\"\ndest = \"OUTa.conf\"\n"
)

// markerOf is where the marker of a pending reload is.
func (s *site) markerOf(name string) string { return s.out("." + name + ".pc4patroni-reload") }
