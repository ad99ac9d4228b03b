package etcd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// certificates are the TLS files. They are read again for each connection, so
// that a rotation needs no restart; connections are rare.
type certificates struct {
	cfg Config

	mu   sync.Mutex
	last *tls.Config // the last good state
	bad  bool        // the files could not be read the last time
}

// newCertificates reads the files once, so that mistakes are reported early.
func newCertificates(cfg Config) (*certificates, error) {
	c := &certificates{cfg: cfg}
	var err error
	c.last, err = c.read()
	return c, err
}

func (c *certificates) read() (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.cfg.ClientInsecure}
	if c.cfg.ClientCert != "" {
		pair, err := tls.LoadX509KeyPair(c.cfg.ClientCert, c.cfg.ClientKey)
		if err != nil {
			return nil, fmt.Errorf("read client certificate %s with key %s: %w", c.cfg.ClientCert, c.cfg.ClientKey, err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	if c.cfg.ClientCAKeys != "" {
		pem, err := os.ReadFile(c.cfg.ClientCAKeys)
		if err != nil {
			return nil, fmt.Errorf("read client-ca-keys: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read client-ca-keys: %s holds no certificate in PEM format", c.cfg.ClientCAKeys)
		}
	}
	return cfg, nil
}

// config returns what the files say now. In the middle of a rotation, when
// certificate and key do not belong together, it is what they said before.
func (c *certificates) config() *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	cfg, err := c.read()
	if err != nil {
		if !c.bad {
			c.cfg.Logger.Warn("TLS files cannot be read, their last good content is used", "err", err)
		}
		c.bad = true
		return c.last
	}
	c.bad = false
	c.last = cfg
	return cfg
}

// transport is the credentials of connections to etcd. It also records why a
// handshake failed.
type transport struct {
	// What gRPC wants beside the handshake of a client.
	credentials.TransportCredentials
	certs    *certificates // nil for plain HTTP/2
	failures *failures
}

func newTransport(certs *certificates, failures *failures) *transport {
	t := &transport{insecure.NewCredentials(), certs, failures}
	if certs != nil {
		t.TransportCredentials = credentials.NewTLS(nil)
	}
	return t
}

func (t *transport) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	inner := t.TransportCredentials
	if t.certs != nil {
		inner = credentials.NewTLS(t.certs.config())
	}
	conn, info, err := inner.ClientHandshake(ctx, authority, raw)
	if err != nil {
		t.failures.setConnected(authority, t.certs == nil, err)
		return nil, nil, err
	}
	return &firstReadConn{Conn: conn, node: authority, plain: t.certs == nil, failures: t.failures}, info, nil
}

func (t *transport) Clone() credentials.TransportCredentials { return t }

// firstReadConn records what the first read of a connection brings. Only there a
// server refuses our certificate, or turns out not to speak HTTP/2.
type firstReadConn struct {
	net.Conn
	node     string
	plain    bool
	failures *failures
	read     atomic.Bool
}

func (c *firstReadConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n == 0 && err == nil || c.read.Swap(true) {
		return n, err
	}
	switch {
	case n > 0 && c.plain && p[0] == tlsAlert:
		c.failures.set(c.node, errSpeaksTLS)
	case n > 0 && c.plain && p[0] == 'H':
		// "HTTP/1.1 400": a frame of HTTP/2 this long does not exist.
		c.failures.set(c.node, errSpeaksHTTP1)
	case n > 0:
		c.failures.set(c.node, nil)
	default:
		c.failures.setConnected(c.node, c.plain, err)
	}
	return n, err
}

// Close reads first if nothing was read before: gRPC closes when it cannot
// write, often before it has read why the server closed the connection.
func (c *firstReadConn) Close() error {
	if !c.read.Load() && c.SetReadDeadline(time.Now().Add(100*time.Millisecond)) == nil {
		var first [1]byte
		_, _ = c.Read(first[:]) // which records the failure
	}
	return c.Conn.Close()
}

// tlsAlert is the first byte of the only record with which a TLS server
// answers to plain text.
const tlsAlert = 21
