package patroni

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Unlike net/url, the parser of this file accepts what Patroni writes: an IPv6
// zone with a bare percent sign, and several hosts (Patroni:
// postgresql/config.py resolve_connection_addresses, utils.py uri). What could
// be read in two ways is an error.

// hostPort is one address. A port of 0 is one that is not there.
type hostPort struct {
	host string
	port int
}

// String returns host:port with the brackets that IPv6 asks for, or the host
// alone if there is no port.
func (a hostPort) String() string {
	host := a.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if a.port == 0 {
		return host
	}
	return host + ":" + strconv.Itoa(a.port)
}

// parts returns the host, the port, which is by default fallback, and both as
// text.
func (a hostPort) parts(fallback int) (host string, port int, addr string) {
	a.port = cmp.Or(a.port, fallback)
	return a.host, a.port, a.String()
}

// endpoint is a URL that has been taken apart and found harmless.
type endpoint struct {
	scheme string     // in lower case, empty if there is none
	addrs  []hostPort // empty if there is no host
	path   string     // as stored, with the leading slash, or empty
}

// parseEndpoint takes raw apart. An error means that raw is hostile or broken; it
// quotes nothing of raw, which may hold a password. A raw without a scheme gives
// an endpoint without addresses, as Patroni's urlparse does.
func parseEndpoint(raw string) (endpoint, error) {
	for i, r := range raw {
		isInvalid := r == utf8.RuneError && !strings.HasPrefix(raw[i:], "\uFFFD")
		if isInvalid || unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return endpoint{}, fmt.Errorf("holds %s", describe(raw[i:]))
		}
	}
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok || !isScheme(scheme) {
		return endpoint{}, nil
	}
	e := endpoint{scheme: strings.ToLower(scheme)}
	authority, _, _ := strings.Cut(rest, "/")
	path, _, _ := strings.Cut(rest[len(authority):], "?")
	e.path, _, _ = strings.Cut(path, "#")
	// Parsers disagree about a ? or # right after the host, and Patroni never
	// writes one there.
	if i := strings.IndexAny(authority, "?#"); i >= 0 {
		return endpoint{}, fmt.Errorf("holds %q before the path", authority[i])
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

// isScheme tells whether text may stand before "://".
func isScheme(text string) bool {
	return text != "" && unicode.IsLetter(rune(text[0])) && consistsOf(text, "+-.")
}

// parseAuthority returns the addresses in the part of a URL between the
// slashes: one, or several with commas between them as libpq accepts them. The
// last port belongs to every host that has none of its own.
func parseAuthority(authority string) ([]hostPort, error) {
	var addrs []hostPort
	for part := range strings.SplitSeq(authority, ",") {
		host, port, err := cutPort(part)
		if err != nil {
			return nil, err
		}
		if host, err = parseHost(host); err != nil {
			return nil, err
		}
		addrs = append(addrs, hostPort{host, port})
	}
	for i := range addrs {
		addrs[i].port = cmp.Or(addrs[i].port, addrs[len(addrs)-1].port)
	}
	return addrs, nil
}

// cutPort splits an address into what is in its brackets, or before its colon
// where it has none, and the port, which is 0 if there is none.
func cutPort(address string) (host string, port int, err error) {
	var digits string
	if inner, ok := strings.CutPrefix(address, "["); ok {
		var after string
		if host, after, ok = strings.Cut(inner, "]"); !ok {
			return "", 0, errors.New("has a bracket that is not closed")
		}
		if digits, ok = strings.CutPrefix(after, ":"); !ok && after != "" {
			return "", 0, errors.New("holds characters between the closing bracket and the port")
		}
	} else {
		host, digits, _ = strings.Cut(address, ":")
		if strings.Contains(digits, ":") {
			return "", 0, errors.New("has several colons without brackets around the host")
		}
	}
	if digits == "" {
		return host, 0, nil
	}
	number, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || number == 0 {
		return "", 0, errors.New("has a port that is not a number from 1 to 65535")
	}
	return host, int(number), nil
}

// parseHost returns text in lower case, as Python's urlparse does, if it is a
// host: an IPv6 address, with a zone if need be, or ASCII letters, digits,
// dots, dashes and underscores with a letter or a digit at the start, and not
// digits alone.
func parseHost(text string) (string, error) {
	switch {
	case text == "":
		return "", errors.New("has an empty host")
	case len(text) > maxText:
		return "", fmt.Errorf("has a host longer than %d bytes", maxText)
	case strings.Contains(text, ":"):
		address, zone, hasZone := strings.Cut(text, "%")
		if _, err := netip.ParseAddr(address); err != nil {
			return "", errors.New("has a host with colons that is not an IPv6 address")
		}
		if !hasZone {
			return strings.ToLower(address), nil
		}
		return strings.ToLower(address) + "%" + zone, checkHostName(zone)
	case isNumber(text):
		// Resolvers take 5433 for the address 0.0.21.57; it rather is a port.
		return "", errors.New("has a host that is only a number")
	}
	return strings.ToLower(text), checkHostName(text)
}

func checkHostName(name string) error {
	for i := range name {
		if !consistsOf(name[i:i+1], "-._") {
			return fmt.Errorf("has a host that holds %s", describe(name[i:]))
		}
	}
	if name == "" || !consistsOf(name[:1], "") {
		return errors.New("has a host that begins with neither a letter nor a digit")
	}
	return nil
}

// httpPorts are the ports of URLs without one, by the schemes of a REST API.
var httpPorts = map[string]int{"http": 80, "https": 443}

// isHTTP tells whether the endpoint can be that of a REST API.
func (e endpoint) isHTTP() bool { return len(e.addrs) > 0 && httpPorts[e.scheme] > 0 }

// uri returns the endpoint as a URL of the given scheme that every reader of
// URLs accepts: encoded are the percent sign of a zone, and all of the path that
// could mean something to a shell or to the file of a proxy. User, password,
// query and fragment are gone.
func (e endpoint) uri(scheme string) string {
	hosts := make([]string, len(e.addrs))
	for i, addr := range e.addrs {
		addr.host = strings.Replace(addr.host, "%", "%25", 1)
		hosts[i] = addr.String()
	}
	path, err := url.PathUnescape(e.path)
	if err != nil {
		path = e.path
	}
	path = strings.NewReplacer("%2F", "/", "+", "%20").Replace(url.QueryEscape(path))
	return scheme + "://" + strings.Join(hosts, ",") + path
}
