package etcd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"pc4patroni/backends"
)

// Config says which etcd to use and how. The zero value of a field is its
// default.
type Config struct {
	// Nodes are the client URLs of the members: http://host:port,
	// https://host:port or host:port. A node without a scheme has that of
	// Scheme, or else https if a TLS option is given and http if not. The default
	// port is 2379, the default node 127.0.0.1. All nodes must end up with the
	// same scheme.
	Nodes []string

	// SRVDomain asks DNS for the members, in place of Nodes. The first of these
	// names with an answer counts: _etcd-client-ssl._tcp.DOMAIN (which means
	// https, and is skipped if Scheme is http) and _etcd-client._tcp.DOMAIN
	// (http, and skipped if Scheme is https or a TLS option is given), which are
	// etcd's own; then confd's _etcd._tcp.DOMAIN and _etcdv3._tcp.DOMAIN, with
	// the scheme as for Nodes.
	SRVDomain string
	// SRVRecord is the full name of an SRV record, which takes the place of
	// Nodes and SRVDomain.
	SRVRecord string
	// Scheme is http or https, for nodes that come without one.
	Scheme string

	// Username and Password authenticate with etcd's own users. PasswordFile
	// is the name of a file that holds the password, one line; it is read
	// again at each login.
	Username, Password, PasswordFile string

	// ClientCert and ClientKey are PEM files with the certificate shown to
	// etcd, ClientCAKeys one with the authorities that may have signed
	// etcd's; without it the system's are trusted. All three are read
	// again at each new connection. ClientInsecure does not verify etcd's
	// certificate at all.
	ClientCert, ClientKey, ClientCAKeys string
	ClientInsecure                      bool

	// DialTimeout bounds each attempt to connect to a node, RequestTimeout each
	// request. Both are 5 s by default.
	DialTimeout, RequestTimeout time.Duration
	// Silence is how long Watch may hear nothing from etcd before it gives up,
	// 15 s by default. It pings etcd every third of that.
	Silence time.Duration

	// Logger gets what no error tells; nil discards it.
	Logger *slog.Logger
	// LookupSRV is how SRV records are found, net.DefaultResolver by default.
	LookupSRV func(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
}

func (c Config) withDefaults() Config {
	c.DialTimeout = cmp.Or(c.DialTimeout, 5*time.Second)
	c.RequestTimeout = cmp.Or(c.RequestTimeout, 5*time.Second)
	c.Silence = cmp.Or(c.Silence, backends.Silence/2)
	return c
}

func (c Config) usesSRV() bool { return c.SRVDomain != "" || c.SRVRecord != "" }

// usesTLS tells whether a TLS option is set.
func (c Config) usesTLS() bool { return c.tlsOption() != "" }

// tlsOption names the first TLS option that is set, or is "".
func (c Config) tlsOption() string {
	switch {
	case c.ClientCert != "":
		return "client-cert"
	case c.ClientKey != "":
		return "client-key"
	case c.ClientCAKeys != "":
		return "client-ca-keys"
	case c.ClientInsecure:
		return "client-insecure"
	}
	return ""
}

// defaultScheme is the scheme of a node that comes without one.
func (c Config) defaultScheme() string {
	switch {
	case c.Scheme != "":
		return c.Scheme
	case c.usesTLS():
		return "https"
	}
	return "http"
}

// validate reports what the form of each option, which is the caller's concern,
// does not tell: options that contradict each other, and an unreadable password.
func (c Config) validate() error {
	if c.usesTLS() && c.Scheme == "http" {
		return fmt.Errorf("scheme is http, but %s is set: leave one out", c.tlsOption())
	}
	if !c.usesSRV() {
		nodes, err := c.nodes()
		if err != nil {
			return err
		}
		if c.usesTLS() && scheme(nodes[0]) == "http" {
			return fmt.Errorf("node %s is plain http, but %s is set: write https:// or leave out the TLS options", nodes[0], c.tlsOption())
		}
	}
	if c.Username == "" {
		return nil
	}
	_, err := c.password()
	return err
}

// password returns the password as it is now.
func (c Config) password() (string, error) {
	if c.PasswordFile == "" {
		return c.Password, nil
	}
	data, err := os.ReadFile(c.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("read password-file: %w", err)
	}
	password := strings.TrimRight(string(data), "\r\n")
	if password == "" {
		return "", fmt.Errorf("read password-file: %s is empty", c.PasswordFile)
	}
	if strings.ContainsAny(password, "\r\n") {
		return "", fmt.Errorf("read password-file: %s has more than one line", c.PasswordFile)
	}
	return password, nil
}

// nodes returns the URLs of Nodes, each complete with scheme and port.
func (c Config) nodes() ([]string, error) {
	var urls []string
	for _, node := range c.Nodes {
		u, err := parseNode(node, c.defaultScheme())
		if err != nil {
			return nil, err
		}
		if len(urls) > 0 && scheme(u) != scheme(urls[0]) {
			return nil, fmt.Errorf("nodes %s and %s differ in their scheme: all must be http or all https", urls[0], u)
		}
		urls = append(urls, u)
	}
	if len(urls) == 0 {
		urls = []string{c.defaultScheme() + "://127.0.0.1:2379"}
	}
	return urls, nil
}

func scheme(node string) string {
	s, _, _ := strings.Cut(node, "://")
	return s
}

// parseNode completes a node with what it lacks.
func parseNode(node, defaultScheme string) (string, error) {
	if !strings.Contains(node, "://") {
		if net.ParseIP(node) != nil && strings.Contains(node, ":") {
			// A bare IPv6 address: its colons do not precede a port.
			node = "[" + node + "]"
		}
		node = defaultScheme + "://" + node
	}
	u, err := url.Parse(node)
	if err != nil || u.Hostname() == "" {
		// The text, which url's own error repeats, could hold a password.
		return "", errors.New("a node is not a URL: write http://host:port, https://host:port or host:port")
	}
	return u.Scheme + "://" + net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "2379")), nil
}
