package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/net/netutil"

	"pc4patroni/resource"
)

// Limits of the status server. Nobody who talks to it may cost the daemon its
// descriptors or its memory.
const (
	connectionsAtOnce = 128
	headerTimeout     = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = time.Minute
	headerBytes       = 16 << 10
	// closeWithin is how long an answer may still take when the program ends.
	closeWithin = 2 * time.Second
)

// observed is what the status server looks at: the engine.
type observed interface {
	Ready() <-chan struct{}
	Status() resource.Status
	Stuck(since time.Time) []string
	Records() map[string]resource.Record
	Latency() resource.Latency
	Keys(ctx context.Context) (held []resource.Keys, silent []string)
}

var _ observed = (*resource.Engine)(nil)

// listen opens the address of -listen; without one it returns nil. It is done
// before anything else, because a taken port is a mistake of the configuration.
func (p *program) listen(ctx context.Context) (net.Listener, error) {
	if p.settings.Listen == "" {
		return nil, nil
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", p.settings.Listen)
	if err == nil {
		return l, nil
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err // the rest of it is said here
	}
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		err = call.Err
	}
	return nil, &configError{fmt.Errorf("listen on %s: %w", p.settings.Listen, err)}
}

// isLoopback tells whether only this host can reach the address.
func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// serveStatus answers requests until ctx is done. Then what is being answered
// may be finished within a short time, and nothing is left when it returns.
func serveStatus(ctx context.Context, l net.Listener, handler http.Handler, log *slog.Logger) {
	requests, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytes,
		BaseContext:       func(net.Listener) context.Context { return requests },
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(netutil.LimitListener(l, connectionsAtOnce)) }()
	log.Info("listening", "address", l.Addr().String())
	select {
	case <-ctx.Done():
	case err := <-served:
		// The files matter more than who looks at them: the daemon goes on.
		log.Error("the status page is gone", "err", err)
		return
	}
	cancel()
	closing, done := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
	defer done()
	if server.Shutdown(closing) != nil {
		_ = server.Close() // nobody is left to tell
	}
	<-served
}

// guard answers what is fit for the mux and refuses the rest.
type guard struct {
	next http.Handler
	// host is the one of -listen, by which the server may be asked for too.
	host string
	// loopback says that only this host can connect.
	loopback bool
}

// contentPolicy lets the page use its own style sheet and nothing else.
const contentPolicy = "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", contentPolicy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Cache-Control", "no-store")
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD: there is nothing to change here", http.StatusMethodNotAllowed)
	case !g.knows(r.Host):
		http.Error(w, "served to this host alone: ask for localhost or an IP address", http.StatusMisdirectedRequest)
	default:
		g.next.ServeHTTP(w, r)
	}
}

// knows tells whether a request may name that host. A page of another site
// whose name is made to lead to 127.0.0.1 (DNS rebinding) must not read what
// is meant for the users of this host.
func (g *guard) knows(host string) bool {
	if !g.loopback {
		return true
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	return net.ParseIP(host) != nil || strings.EqualFold(host, "localhost") || strings.EqualFold(host, g.host)
}

// newHandler returns what answers requests that reach the address.
func newHandler(m *monitor, listen string, addr net.Addr) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/metrics", m.metrics())
	mux.HandleFunc("/healthz", m.serveHealth)
	mux.HandleFunc("/readyz", m.serveReadiness)
	mux.HandleFunc("/status.json", m.serveJSON)
	mux.HandleFunc("/style.css", serveStyle)
	mux.HandleFunc("/{$}", m.servePage)
	host, _, _ := net.SplitHostPort(listen) // it was listened on
	return &guard{next: mux, host: host, loopback: isLoopback(addr)}
}
