package patroni

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The hand-made parser of this file reads what Patroni writes: unlike net/url
// it accepts an IPv6 zone with a bare percent sign and several hosts within one
// pair of brackets (Patroni: postgresql/config.py resolve_connection_addresses,
// utils.py uri). It never guesses: what could be read in two ways is an error.

// hostPort is one address. A port of 0 is one that is not there.
type hostPort struct {
	host string
	port int
}

// String returns host:port with the brackets that IPv6 asks for, or the host
// alone if there is no port.
func (a hostPort) String() string {
	host := a.host
	if strings.IndexByte(host, ':') >= 0 {
		host = "[" + host + "]"
	}
	if a.port == 0 {
		return host
	}
	return host + ":" + strconv.Itoa(a.port)
}

// endpoint is a URL that has been taken apart and found harmless.
type endpoint struct {
	scheme string     // in lower case, empty if there is none
	addrs  []hostPort // empty if there is no host
	path   string     // as stored, with the leading slash, or empty
}

// parseEndpoint takes raw apart. An error means that raw is hostile or broken:
// it holds control characters, or the part with host and port holds anything
// that is neither. The error describes what is wrong and quotes nothing of raw,
// which may hold a password. A raw without "://" gives an endpoint without
// addresses, as Patroni's urlparse does.
func parseEndpoint(raw string) (endpoint, error) {
	for i, r := range raw {
		if unicode.IsControl(r) || isInvalid(r, raw[i:]) || r == '\u2028' || r == '\u2029' {
			return endpoint{}, fmt.Errorf("holds %s", describe(r, raw[i:]))
		}
	}
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return endpoint{}, nil
	}
	e := endpoint{scheme: strings.ToLower(scheme)}
	// A query or a fragment right after the host would be cut off without a
	// word, and a port with it; Patroni writes no such thing.
	authority := rest
	if end := strings.IndexByte(rest, '/'); end >= 0 {
		authority, e.path = rest[:end], rest[end:]
	}
	if end := strings.IndexAny(e.path, "?#"); end >= 0 {
		e.path = e.path[:end]
	}
	// User and password are part of the URLs that Patroni wrote before 1.0.
	authority = authority[strings.LastIndexByte(authority, '@')+1:]
	if authority == "" {
		return e, nil
	}
	var err error
	e.addrs, err = parseAuthority(authority)
	return e, err
}

// parseAuthority returns the addresses in the part of a URL between the
// slashes. A port at the end belongs to every host that has none of its own.
func parseAuthority(authority string) ([]hostPort, error) {
	hosts, port := authority, 0
	inner, bracketed := strings.CutPrefix(authority, "[")
	if bracketed {
		end := strings.LastIndexByte(inner, ']')
		if end < 0 {
			return nil, errors.New("has a bracket that is not closed")
		}
		after := inner[end+1:]
		hosts = inner[:end]
		if after != "" {
			if after[0] != ':' {
				return nil, errors.New("holds something between the closing bracket and the port")
			}
			var err error
			if port, err = parsePort(after[1:]); err != nil {
				return nil, err
			}
		}
	} else if colon := strings.LastIndexByte(authority, ':'); colon >= 0 {
		hosts = authority[:colon]
		var err error
		if port, err = parsePort(authority[colon+1:]); err != nil {
			return nil, err
		}
	}
	addrs := make([]hostPort, 0, 1+strings.Count(hosts, ","))
	for text := range strings.SplitSeq(hosts, ",") {
		addr := hostPort{port: port}
		var err error
		switch name, own, _ := strings.Cut(text, ":"); {
		case strings.IndexByte(own, ':') >= 0:
			if !bracketed {
				return nil, errors.New("has several colons without brackets around the host")
			}
		case own != "":
			text = name
			if addr.port, err = parsePort(own); err != nil {
				return nil, err
			}
		}
		if addr.host, err = parseHost(text); err != nil {
			return nil, err
		}
		addrs = append(addrs, addr)
	}
	return addrs, nil
}

// parsePort returns the port in text; an empty one is 0, as in "host:".
func parsePort(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	port := 0
	for i := range len(text) {
		if !isDigit(text[i]) || i == 5 {
			return 0, errPort
		}
		port = 10*port + int(text[i]-'0')
	}
	if port < 1 || port > 65535 {
		return 0, errPort
	}
	return port, nil
}

var errPort = errors.New("has a port that is not a number from 1 to 65535")

// parseHost returns text in lower case, as Python's urlparse does, if it is a
// host: an IPv6 address, with a zone if need be, or ASCII letters, digits,
// dots, dashes and underscores with a letter or a digit at the start.
func parseHost(text string) (string, error) {
	if text == "" {
		return "", errors.New("has an empty host")
	}
	if len(text) > maxText {
		return "", fmt.Errorf("has a host longer than %d bytes", maxText)
	}
	if strings.IndexByte(text, ':') >= 0 {
		address, zone, hasZone := strings.Cut(text, "%")
		if _, err := netip.ParseAddr(address); err != nil {
			return "", errors.New("has a host with colons that is no IPv6 address")
		}
		address = strings.ToLower(address)
		if !hasZone {
			return address, nil
		}
		if err := checkHostName(zone); err != nil {
			return "", err
		}
		return address + "%" + zone, nil
	}
	if err := checkHostName(text); err != nil {
		return "", err
	}
	return strings.ToLower(text), nil
}

func checkHostName(name string) error {
	for i, r := range name {
		if r >= utf8.RuneSelf || !isAlnum(byte(r)) && r != '-' && r != '.' && r != '_' {
			return fmt.Errorf("has a host that holds %s", describe(r, name[i:]))
		}
	}
	if name == "" || !isAlnum(name[0]) {
		return errors.New("has a host that begins with neither a letter nor a digit")
	}
	return nil
}

// uri returns the endpoint as a URL of the given scheme that every reader of
// URLs accepts: a zone has its percent sign encoded, and so has the path what
// needs it. User, password, query and fragment are gone.
func (e endpoint) uri(scheme string) string {
	var b strings.Builder
	b.WriteString(scheme)
	b.WriteString("://")
	for i, addr := range e.addrs {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strings.ReplaceAll(addr.String(), "%", "%25"))
	}
	b.WriteString(escapePath(e.path))
	return b.String()
}

// escapePath returns path with all that could mean something to a shell or to
// the file of a proxy encoded; what is encoded already stays.
func escapePath(path string) string {
	plain := true
	for i := range len(path) {
		if c := path[i]; !isAlnum(c) && strings.IndexByte("/-._~", c) < 0 {
			plain = false
			break
		}
	}
	if plain {
		return path
	}
	if decoded, err := url.PathUnescape(path); err == nil {
		path = decoded
	}
	var b strings.Builder
	for i := range len(path) {
		if c := path[i]; isAlnum(c) || strings.IndexByte("/-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
