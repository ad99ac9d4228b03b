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
	// https://host:port or host:port. A comma separates several in one
	// string. Without a scheme a node has that of Scheme; if Scheme is empty as
	// well it is https when a TLS option is given and http otherwise. The port
	// is 2379 by default. All nodes must end up with the same scheme. Without
	// any node, and without SRV records to ask for, it is 127.0.0.1.
	Nodes []string

	// SRVDomain asks DNS for the members, and takes the place of Nodes. The
	// first of these names with an answer counts: _etcd-client-ssl._tcp.DOMAIN
	// (which means https, and is left out if Scheme is http) and
	// _etcd-client._tcp.DOMAIN (http, and left out if Scheme is https or a TLS
	// option is given), as etcd itself has them; then _etcd._tcp.DOMAIN and
	// _etcdv3._tcp.DOMAIN, which confd looks for, with the scheme as for Nodes.
	SRVDomain string
	// SRVRecord is the full name of an SRV record, asked for as it is, and
	// takes the place of Nodes and SRVDomain.
	SRVRecord string
	// Scheme is http or https, for nodes that come without one.
	Scheme string

	// Username and Password authenticate with etcd's own users. PasswordFile
	// is the name of a file that holds the password, one line; it is read
	// again at each login.
	Username, Password, PasswordFile string
	// BasicAuth has no meaning: confd ignores Username without it, this
	// package never does.
	BasicAuth bool

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
	// Silence is how long Watch bears to hear nothing from etcd before it
	// gives up, 15 s by default. It notices up to a third later, and every
	// third it asks for a sign of life.
	Silence time.Duration

	// Logger gets what is worth knowing and no error tells; nil drops it.
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

// tlsOption names a TLS option that is set, or is empty.
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
	case c.tlsOption() != "":
		return "https"
	}
	return "http"
}

// validate reports everything that can be wrong before etcd is asked.
func (c Config) validate() error {
	switch c.Scheme {
	case "", "http", "https":
	default:
		return fmt.Errorf("scheme %q: must be http or https", c.Scheme)
	}
	if opt := c.tlsOption(); opt != "" && c.Scheme == "http" {
		return fmt.Errorf("scheme http and %s contradict each other: leave one out", opt)
	}
	if !c.usesSRV() {
		nodes, err := c.nodes()
		if err != nil {
			return err
		}
		if opt := c.tlsOption(); opt != "" && scheme(nodes[0]) == "http" {
			return fmt.Errorf("node %s is plain http, but %s is set: write https:// or leave out the TLS options", nodes[0], opt)
		}
	}
	switch {
	case c.ClientCert != "" && c.ClientKey == "":
		return fmt.Errorf("client-cert %s needs its key: set client-key", c.ClientCert)
	case c.ClientCert == "" && c.ClientKey != "":
		return fmt.Errorf("client-key %s needs its certificate: set client-cert", c.ClientKey)
	case c.Password != "" && c.PasswordFile != "":
		return errors.New("both password and password-file are set: leave one out")
	case c.Username == "" && (c.Password != "" || c.PasswordFile != ""):
		return errors.New("a password is set without a user: set username")
	case c.Username != "" && c.Password == "" && c.PasswordFile == "":
		return fmt.Errorf("user %q has no password: set password-file or password", c.Username)
	case c.DialTimeout < 0 || c.RequestTimeout < 0 || c.Silence < 0:
		return errors.New("a timeout is negative")
	}
	if c.Username != "" {
		if _, err := c.password(); err != nil {
			return err
		}
	}
	return nil
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
	for _, list := range c.Nodes {
		for node := range strings.SplitSeq(list, ",") {
			if node = strings.TrimSpace(node); node == "" {
				continue
			}
			u, err := parseNode(node, c.defaultScheme())
			if err != nil {
				return nil, err
			}
			urls = append(urls, u)
		}
	}
	if len(urls) == 0 {
		urls = []string{c.defaultScheme() + "://127.0.0.1:2379"}
	}
	for _, u := range urls {
		if scheme(u) != scheme(urls[0]) {
			return nil, fmt.Errorf("nodes %s and %s differ in their scheme: all must be http or all https", urls[0], u)
		}
	}
	return urls, nil
}

func scheme(node string) string {
	s, _, _ := strings.Cut(node, "://")
	return s
}

// parseNode completes one node with what it lacks.
func parseNode(node, defaultScheme string) (string, error) {
	full := node
	if !strings.Contains(node, "://") {
		if ip := net.ParseIP(node); ip != nil && strings.Contains(node, ":") {
			// A bare IPv6 address: its colons do not precede a port.
			node = "[" + node + "]"
		}
		full = defaultScheme + "://" + node
	}
	u, err := url.Parse(full)
	if err != nil {
		// url's own error repeats the text, which could hold a password.
		return "", fmt.Errorf("node %q is no URL: write http://host:port, https://host:port or host:port", redact(node))
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return "", fmt.Errorf("node %q: scheme %q is neither http nor https", redact(node), u.Scheme)
	case u.User != nil:
		return "", fmt.Errorf("node %q holds a user: set username and password-file instead", redact(node))
	case u.Hostname() == "":
		return "", fmt.Errorf("node %q has no host", redact(node))
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return "", fmt.Errorf("node %q has more than host and port: etcd's keys are below prefix, not in its URL", redact(node))
	}
	port := u.Port()
	if port == "" {
		port = "2379"
	}
	return u.Scheme + "://" + net.JoinHostPort(u.Hostname(), port), nil
}

// redact hides whatever stands before the last @ of a URL: a password may hold
// an @ of its own.
func redact(node string) string {
	s, rest, ok := strings.Cut(node, "://")
	if !ok {
		s, rest = "", node
	} else {
		s += "://"
	}
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		rest = "xxx" + rest[at:]
	}
	return s + rest
}
