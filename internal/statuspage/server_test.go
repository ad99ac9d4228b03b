package statuspage

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"pc4patroni/internal/report"
	"pc4patroni/resource/engine"
)

// toldEngine says what a test wants it to say.
type toldEngine struct {
	status engine.Status
	events []engine.Event // that were observed
	keys   []engine.Keys
	stuck  func(since time.Time) []string
	asked  int // for keys
}

func (f *toldEngine) Status() engine.Status { return f.status }

func (f *toldEngine) Keys() []engine.Keys {
	f.asked++
	return f.keys
}

func (f *toldEngine) Stalled(since time.Time) []string {
	if f.stuck == nil {
		return nil
	}
	return f.stuck(since)
}

var quiet = slog.New(slog.DiscardHandler)

// noon is when the pages of the tests are made.
var noon = time.Date(2026, 7, 14, 12, 0, 0, 0, time.UTC)

func newTestMonitor(told *toldEngine) *monitor {
	seen := newObserver(true)
	seen.changeText = func(_, now []byte, _ bool) string { return string(now) }
	for _, ev := range told.events {
		seen.observe(ev)
	}
	return &monitor{
		engine: told, seen: seen, build: report.Build{Version: "v1.2.3", Revision: "abc", GoVersion: "go1.26"}, host: "proxy1",
		now: func() time.Time { return noon }, aliveWithin: 50 * time.Millisecond,
	}
}

// connected is a backend that is well.
func connected() map[string]engine.BackendStatus {
	return map[string]engine.BackendStatus{
		"etcd http://10.0.0.9:2379": {Connected: true, Since: noon.Add(-time.Hour), Version: "a1/42"},
	}
}

// get asks the handler, as a client on this host would.
func get(t *testing.T, handler http.Handler, path string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Host = "127.0.0.1:9547"
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	onLoopback = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9547}
	onAll      = &net.TCPAddr{IP: net.IPv4zero, Port: 9547}
)

func TestGuard(t *testing.T) {
	handler := newHandler(newTestMonitor(&toldEngine{status: engine.Status{Backends: connected()}}), "proxy.internal:9547", onLoopback)
	open := newHandler(newTestMonitor(&toldEngine{status: engine.Status{Backends: connected()}}), ":9547", onAll)
	for _, c := range []struct {
		name         string
		handler      http.Handler
		method, path string
		host         string
		want         int
	}{
		{"a page", handler, "GET", "/", "127.0.0.1:9547", 200},
		{"its head", handler, "HEAD", "/", "127.0.0.1:9547", 200},
		{"its style", handler, "GET", "/style.css", "127.0.0.1:9547", 200},
		{"metrics", handler, "GET", "/metrics", "localhost:9547", 200},
		{"IPv6", handler, "GET", "/healthz", "[::1]:9547", 200},
		{"a port through a tunnel", handler, "GET", "/readyz", "localhost", 200},
		{"the host of -listen", handler, "GET", "/readyz", "proxy.internal:9547", 200},
		{"no name, as HTTP/1.0 checks have it", handler, "GET", "/readyz", "", 200},
		{"another name", handler, "GET", "/", "evil.example:9547", 421},
		{"another name, and no loopback", open, "GET", "/", "proxy1.example:9547", 200},
		{"nothing there", handler, "GET", "/debug/pprof/", "localhost", 404},
		{"below a page", handler, "GET", "/metrics/x", "localhost", 404},
		{"POST", handler, "POST", "/metrics", "localhost", 405},
		{"PUT", handler, "PUT", "/", "localhost", 405},
		{"OPTIONS", handler, "OPTIONS", "/status.json", "localhost", 405},
		{"TRACE", handler, "TRACE", "/", "localhost", 405},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(c.method, c.path, nil)
			r.Host = c.host
			w := httptest.NewRecorder()
			c.handler.ServeHTTP(w, r)
			got := w.Result()
			if got.StatusCode != c.want {
				t.Errorf("status %d, want %d", got.StatusCode, c.want)
			}
			for name, want := range map[string]string{
				"Content-Security-Policy": contentPolicy,
				"X-Content-Type-Options":  "nosniff",
				"X-Frame-Options":         "DENY",
				"Referrer-Policy":         "no-referrer",
				"Cache-Control":           "no-store",
			} {
				if have := got.Header.Get(name); have != want {
					t.Errorf("%s is %q, want %q", name, have, want)
				}
			}
			if c.want == 405 && got.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("Allow is %q", got.Header.Get("Allow"))
			}
			if got.Header.Get("Content-Type") == "" {
				t.Error("the answer has no type")
			}
		})
	}
}

func TestHealth(t *testing.T) {
	told := &toldEngine{}
	m := newTestMonitor(told)
	m.aliveWithin = time.Minute
	handler := newHandler(m, "", onLoopback)
	turns := 0
	told.stuck = func(since time.Time) []string {
		if turns++; turns < 3 {
			return []string{"engine"}
		}
		return nil
	}
	if got := get(t, handler, "/healthz"); got.StatusCode != 200 || body(t, got) != "alive\n" {
		t.Errorf("loops that take a turn are answered with %s", got.Status)
	}
	m.aliveWithin = 50 * time.Millisecond
	told.stuck = func(time.Time) []string { return []string{"engine", "a\nb"} }
	got := get(t, handler, "/healthz")
	if text := body(t, got); got.StatusCode != 503 || text != "not responding: engine\nnot responding: a\\nb\n" {
		t.Errorf("loops that hang are answered with %s:\n%s", got.Status, text)
	}
}

func TestReadiness(t *testing.T) {
	since := time.Date(2026, 7, 14, 10, 0, 0, 0, time.UTC)
	result := func(state engine.State, err error) engine.ResourceStatus {
		return engine.ResourceStatus{Name: "a", File: "conf.d/a.toml", Dest: "/etc/a", State: state, Err: err}
	}
	owing := result(engine.Changed, nil)
	owing.ReloadPending = true
	for _, c := range []struct {
		name     string
		backends map[string]engine.BackendStatus
		result   engine.ResourceStatus
		want     string
	}{
		{"in sync", connected(), result(engine.InSync, nil), ""},
		{"changed", connected(), result(engine.Changed, nil), ""},
		{"held: the file is right as long as there is no primary", connected(), result(engine.Held, errors.New("no primary")), ""},
		{"away: the file is right as far as is known", map[string]engine.BackendStatus{"etcd x": {Err: errors.New("refused"), Since: since}},
			result(engine.InSync, nil), ""},
		{"away since the start", map[string]engine.BackendStatus{"etcd x": {Err: errors.New("refused"), Since: since}},
			result(engine.Waiting, nil), "a waiting for its keys"},
		{"noop", connected(), result(engine.Pending, nil), ""},
		{"failed", connected(), result(engine.Failed, errors.New("check failed: exit status 1")), "a failed: check failed: exit status 1"},
		{"owing", connected(), owing, "a reload pending"},
		{"broken", connected(), engine.ResourceStatus{Name: "a", State: engine.Failed, Err: errors.New("line 3: bad\nline 4: bad")},
			"a cannot be used: line 3: bad"},
	} {
		t.Run(c.name, func(t *testing.T) {
			told := &toldEngine{status: engine.Status{Resources: []engine.ResourceStatus{c.result}, Backends: c.backends}}
			got := get(t, newHandler(newTestMonitor(told), "", onLoopback), "/readyz")
			status, want := 503, c.want
			if want == "" {
				status, want = 200, "ready"
			}
			if text := body(t, got); got.StatusCode != status || text != want+"\n" {
				t.Errorf("got %d %q, want %d %q", got.StatusCode, text, status, want)
			}
		})
	}
}

func TestReadinessAtTheStart(t *testing.T) {
	got := get(t, newHandler(newTestMonitor(&toldEngine{}), "", onLoopback), "/readyz")
	if text := body(t, got); got.StatusCode != 503 || text != "starting\n" {
		t.Errorf("got %d %q", got.StatusCode, text)
	}
}

// TestReadinessWithoutBackend: a template without keys needs none.
func TestReadinessWithoutBackend(t *testing.T) {
	told := &toldEngine{status: engine.Status{Resources: []engine.ResourceStatus{{Name: "static", Dest: "/etc/static", State: engine.InSync}}}}
	got := get(t, newHandler(newTestMonitor(told), "", onLoopback), "/readyz")
	if text := body(t, got); got.StatusCode != 200 || text != "ready\n" {
		t.Errorf("got %d %q", got.StatusCode, text)
	}
}

// TestServeEnds: an answer that takes long does not keep the program, and
// nothing of the server is left; see TestMain.
func TestServeEnds(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan struct{}, 1)
	told := &toldEngine{stuck: func(time.Time) []string {
		select {
		case asked <- struct{}{}:
		default:
		}
		return []string{"engine"}
	}}
	m := newTestMonitor(told)
	m.aliveWithin = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		New("", l, "", quiet).serve(ctx, newHandler(m, "", l.Addr()))
	}()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	answered := make(chan int, 1)
	go func() {
		got, err := client.Get("http://" + l.Addr().String() + "/healthz")
		if err != nil {
			answered <- 0
			return
		}
		got.Body.Close()
		answered <- got.StatusCode
	}()
	<-asked
	cancel()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("the server does not end")
	}
	if got := <-answered; got != http.StatusServiceUnavailable {
		t.Errorf("the answer that was on its way has status %d, want 503", got)
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("somebody still listens")
	}
}

func TestListen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, err = Listen(t.Context(), taken.Addr().String(), "")
	if err == nil || err.Error() != "listen tcp "+taken.Addr().String()+": bind: address already in use" {
		t.Errorf("a taken port gives %v", err)
	}
	if l, err := Listen(t.Context(), "", ""); l != nil || err != nil {
		t.Errorf("without -listen: %v, %v", l, err)
	}
	for _, c := range []struct {
		address string
		want    bool
	}{{"127.0.0.1:0", true}, {"127.0.0.2:0", true}, {"localhost:0", true}, {":0", false}, {"0.0.0.0:0", false}} {
		l, err := Listen(t.Context(), c.address, "")
		if err != nil {
			t.Errorf("%s: %v", c.address, err)
			continue
		}
		if got := isLoopback(l.Addr()); got != c.want {
			t.Errorf("%s is loopback: %v, want %v", c.address, got, c.want)
		}
		l.Close()
	}
}

// serve starts a server for the engine and returns its address.
func serve(t *testing.T, seen Engine) string {
	t.Helper()
	l, err := Listen(t.Context(), "127.0.0.1:0", "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var served sync.WaitGroup
	served.Go(func() { New("127.0.0.1:0", l, "", quiet).Serve(ctx, seen) })
	t.Cleanup(func() {
		cancel()
		served.Wait()
	})
	return l.Addr().String()
}

// TestIdleConnectionsKeepNobodyOut opens more connections than there may be
// and says nothing on them; a scrape is answered all the same.
func TestIdleConnectionsKeepNobodyOut(t *testing.T) {
	address := serve(t, &toldEngine{status: engine.Status{Backends: connected()}})
	for range maxConnections + 10 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	client := &http.Client{Transport: &http.Transport{}, Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	got, err := client.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	got.Body.Close()
	if got.StatusCode != 200 {
		t.Errorf("status %d", got.StatusCode)
	}
}

// TestDefaultChecks asks as the default checks of HAProxy and Nagios do.
func TestDefaultChecks(t *testing.T) {
	address := serve(t, &toldEngine{status: engine.Status{Backends: connected()}})
	for _, request := range []string{
		"OPTIONS /healthz HTTP/1.0\r\n\r\n",
		"OPTIONS /readyz HTTP/1.0\r\n\r\n",
		"GET /healthz HTTP/1.0\r\nUser-Agent: check_http/v2.3.3 (nagios-plugins 2.3.3)\r\nConnection: close\r\n\r\n",
		"HEAD /readyz HTTP/1.0\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(conn)
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.0 200 ") {
			t.Errorf("%q is answered with %q, %v", request, answer, err)
		}
	}
}

// TestPanicIsLogged: a mistake of ours in a handler is an error in the log.
func TestPanicIsLogged(t *testing.T) {
	l, err := Listen(t.Context(), "127.0.0.1:0", "")
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	ctx, cancel := context.WithCancel(t.Context())
	var served sync.WaitGroup
	server := New("127.0.0.1:0", l, "", slog.New(slog.NewTextHandler(&log, nil)))
	served.Go(func() { server.Serve(ctx, &toldEngine{stuck: func(time.Time) []string { panic("oops") }}) })
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if got, err := client.Get("http://" + l.Addr().String() + "/healthz"); err == nil {
		got.Body.Close()
		t.Errorf("status %d, want none", got.StatusCode)
	}
	cancel()
	served.Wait()
	if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "oops") {
		t.Errorf("log: %s", log.String())
	}
}

func TestWebIsEmbeddedWhole(t *testing.T) {
	entries, err := os.ReadDir("web")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if _, err := web.ReadFile("web/" + entry.Name()); err != nil {
			t.Errorf("web/%s is not embedded", entry.Name())
		}
	}
	page, err := web.ReadFile("web/page.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, forbidden := range []string{"<script", " style=", "http://", "https://", " onclick"} {
		if strings.Contains(string(page), forbidden) {
			t.Errorf("the page holds %q, which its policy forbids or which leads elsewhere", forbidden)
		}
	}
}
