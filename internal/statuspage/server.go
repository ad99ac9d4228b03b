// Package statuspage serves what -listen promises: metrics, health, readiness,
// the status as JSON, and one page for people.
//
// It looks at the engine and changes nothing. Whoever talks to it, however
// slowly, costs the daemon neither its descriptors nor its memory, and nobody
// keeps others out.
package statuspage

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	toolkit "github.com/prometheus/exporter-toolkit/web"

	"pc4patroni/resource/engine"
)

// Limits of the server.
const (
	maxConnections = 128
	headerTimeout  = 5 * time.Second
	readTimeout    = 10 * time.Second
	writeTimeout   = 30 * time.Second
	idleTimeout    = time.Minute
	headerBytes    = 16 << 10
	// closeWithin is how long an answer may still take when the program ends.
	closeWithin = 2 * time.Second
)

// Engine is what the server looks at. Its methods may be called by several
// goroutines and do not block.
type Engine interface {
	Status() engine.Status
	// Stalled returns the workers that have not responded since that time,
	// and asks them again.
	Stalled(since time.Time) []string
	Keys() []engine.Keys
}

var _ Engine = (*engine.Engine)(nil)

// Server answers requests about an engine whose events it observes.
type Server struct {
	address  string // that was asked for
	listener net.Listener
	access   string // the file with TLS and basic auth, or empty
	seen     *observer
	log      *slog.Logger
}

// Listen opens the address, for which access can be used; for an empty one it
// returns nil. Callers do it before anything else, because a taken port is a
// mistake of the configuration.
func Listen(ctx context.Context, address, access string) (net.Listener, error) {
	if err := CheckAccess(access); err != nil || address == "" {
		return nil, err
	}
	return new(net.ListenConfig).Listen(ctx, "tcp", address)
}

// CheckAccess tells whether a file with TLS and basic auth can be used: a web
// configuration as Prometheus and its exporters have it. "" is none.
func CheckAccess(file string) error {
	if err := toolkit.Validate(file); err != nil {
		return fmt.Errorf("web-config-file %s: %w", file, err)
	}
	return nil
}

// New returns a server for requests to l, which listens on address. access is
// the file with TLS and basic auth, or "" for none; it is read again for each
// request.
func New(address string, l net.Listener, access string, log *slog.Logger) *Server {
	return &Server{address, l, access, newObserver(isLoopback(l.Addr())), log}
}

// Observe counts an event. It may be called by several goroutines.
func (s *Server) Observe(ev engine.Event) { s.seen.observe(ev) }

// isLoopback tells whether only this host can reach the address.
func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// Serve answers requests about e until ctx is done. Then what is being answered
// may be finished within a short time, and nothing is left when it returns.
func (s *Server) Serve(ctx context.Context, e Engine) {
	s.serve(ctx, newHandler(newMonitor(e, s.seen), s.address, s.listener.Addr()))
}

func (s *Server) serve(ctx context.Context, handler http.Handler) {
	open := connections{max: maxConnections, since: make(map[net.Conn]time.Time)}
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytes,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnState:         open.changed,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelError), // of panics, and of clients without TLS
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		closing, done := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
		defer done()
		if server.Shutdown(closing) != nil {
			_ = server.Close() // nobody is left to tell
		}
	})
	serve := func() error {
		return toolkit.Serve(s.listener, server, &toolkit.FlagConfig{WebConfigFile: &s.access}, s.log)
	}
	if s.access == "" {
		s.log.Info("listening", "address", s.listener.Addr().String())
		serve = func() error { return server.Serve(s.listener) }
	}
	if err := serve(); stop() {
		// The files matter more than who looks at them: the daemon goes on.
		s.log.Error("status page stopped", "err", err)
		return
	}
	<-ended
}

// connections bounds how many there are: where one comes too many, the one on
// which nothing has happened for longest is closed. So idle ones keep nobody
// out.
type connections struct {
	max int

	mu    sync.Mutex
	since map[net.Conn]time.Time // of their last change of state
}

func (c *connections) changed(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if state == http.StateClosed || state == http.StateHijacked {
		delete(c.since, conn)
		return
	}
	c.since[conn] = time.Now()
	if len(c.since) <= c.max {
		return
	}
	oldest := conn
	for other, since := range c.since {
		if since.Before(c.since[oldest]) {
			oldest = other
		}
	}
	delete(c.since, oldest)
	_ = oldest.Close() // whoever it was is idle or too slow
}

// contentPolicy lets the page use its own style sheet and nothing else.
const contentPolicy = "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// newHandler returns what answers requests that reach the address, of -listen as
// it was asked for and as it is.
func newHandler(m *monitor, listen string, addr net.Addr) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.metrics())
	for _, method := range []string{"GET", "OPTIONS"} { // HAProxy checks with OPTIONS
		mux.HandleFunc(method+" /healthz", m.serveHealth)
		mux.HandleFunc(method+" /readyz", m.serveReadiness)
	}
	mux.HandleFunc("GET /status.json", m.serveJSON)
	mux.HandleFunc("GET /style.css", serveStyle)
	mux.HandleFunc("GET /{$}", m.servePage)
	ourName, _, _ := net.SplitHostPort(listen) // it was listened on
	loopback := isLoopback(addr)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", contentPolicy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		if loopback && !isOurs(r.Host, ourName) {
			http.Error(w, "only this host is served: use localhost or an IP address", http.StatusMisdirectedRequest)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// isOurs tells whether a request for a host may be answered on a loopback
// address. A page of another site whose name is made to lead to 127.0.0.1 (DNS
// rebinding) must not read what is meant for the users of this host. Browsers
// always name a host; the checks of HAProxy and Nagios, in HTTP/1.0, name none.
func isOurs(host, ourName string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	return host == "" || net.ParseIP(host) != nil || strings.EqualFold(host, "localhost") || strings.EqualFold(host, ourName)
}
