package config

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"pc4patroni/internal/nearest"
)

const (
	// minimumInterval keeps a slip of the unit ("60ms") from reading the whole
	// backend in a loop.
	minimumInterval = time.Second
	minimumTimeout  = 10 * time.Millisecond
)

// The functions below make the set functions of options. at tells where in
// the settings the value lives.

func boolean(at func(*Settings) *bool) func(*Settings, string) error {
	return func(s *Settings, text string) error {
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("must be true or false, not %q", text)
		}
		*at(s) = b
		return nil
	}
}

func text(at func(*Settings) *string) func(*Settings, string) error {
	return func(s *Settings, text string) error {
		if strings.ContainsRune(text, 0) {
			return errors.New("must not contain a NUL character")
		}
		*at(s) = text
		return nil
	}
}

func oneOf(at func(*Settings) *string, words ...string) func(*Settings, string) error {
	return func(s *Settings, text string) error {
		if !slices.Contains(words, text) {
			return fmt.Errorf("must be %s, not %q%s", strings.Join(words, " or "), text, nearest.Hint(text, slices.Values(words)))
		}
		*at(s) = text
		return nil
	}
}

func duration(at func(*Settings) *time.Duration, lowest time.Duration) func(*Settings, string) error {
	return func(s *Settings, text string) error {
		d, err := parseDuration(text)
		if err != nil {
			return err
		}
		if d < lowest {
			return fmt.Errorf("must be at least %s, not %s", lowest, d)
		}
		*at(s) = d
		return nil
	}
}

// parseDuration takes "1m30s", or a number of seconds as confd does.
func parseDuration(text string) (time.Duration, error) {
	if d, err := time.ParseDuration(text); err == nil {
		return d, nil
	}
	seconds, err := strconv.ParseFloat(text, 64)
	nanoseconds := seconds * float64(time.Second)
	if err != nil || !(math.Abs(nanoseconds) < math.MaxInt64) {
		return 0, fmt.Errorf("must be a number of seconds, or a duration such as 1m30s, not %q", text)
	}
	return time.Duration(nanoseconds), nil
}

// list takes one element or several, separated by commas. Empty ones are
// skipped: scripts build such lists.
func list(at func(*Settings) *[]string, check func(string) error) func(*Settings, string) error {
	return func(s *Settings, text string) error {
		for element := range strings.SplitSeq(text, ",") {
			element = strings.TrimSpace(element)
			if element == "" {
				continue
			}
			if check != nil {
				if err := check(element); err != nil {
					return err
				}
			}
			*at(s) = append(*at(s), element)
		}
		return nil
	}
}

// checkNode accepts what etcd's client can connect to: HOST or HOST:PORT, with
// http:// or https:// in front of it or without.
func checkNode(node string) error {
	const want = "must be like http://10.0.0.1:2379"
	if net.ParseIP(node) != nil {
		return nil
	}
	raw := node
	if !strings.Contains(raw, "://") {
		raw = "http://" + raw
	}
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || strings.ContainsAny(node, " \t\r\n") {
		// The parser's error would repeat the text, and a password in it.
		return errors.New(want)
	}
	if u.User != nil {
		return errors.New("must not hold a name and password; use -username and -password-file")
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%s, not with scheme %q%s", want, u.Scheme, nearest.Hint(u.Scheme, slices.Values([]string{"http", "https"})))
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%s, without a path; keys are named by -prefix", want)
	}
	return nil
}

// otherBackends are those of confd that hold none of Patroni's keys in the
// form that this program reads.
var otherBackends = []string{
	"acm", "consul", "dynamodb", "env", "imds", "rancher", "redis", "secretsmanager", "ssm", "stackengine", "vault", "zookeeper",
}

func setBackendKind(s *Settings, text string) error {
	switch text {
	case "etcd", "etcdv3":
		s.Backend.Kind = "etcd"
	case "file":
		s.Backend.Kind = "file"
	default:
		if slices.Contains(otherBackends, text) {
			return fmt.Errorf("cannot be %q: only etcd (API v3) and file are supported", text)
		}
		return fmt.Errorf("must be etcd or file, not %q%s", text, nearest.Hint(text, slices.Values([]string{"etcd", "etcdv3", "file"})))
	}
	return nil
}

func setListen(s *Settings, text string) error {
	if text != "" {
		_, port, err := net.SplitHostPort(text)
		if err != nil {
			return fmt.Errorf("must be an address and a port, such as 127.0.0.1:9547, not %q", text)
		}
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return fmt.Errorf("must end with a port number, such as 127.0.0.1:9547, not %q", text)
		}
	}
	s.Listen = text
	return nil
}

// setLogLevel knows the names of confd's levels too; panic and fatal are what
// this program calls an error.
func setLogLevel(s *Settings, text string) error {
	levels := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
		"warning": slog.LevelWarn, "fatal": slog.LevelError, "panic": slog.LevelError,
	}
	level, ok := levels[strings.ToLower(text)]
	if !ok {
		return fmt.Errorf("must be debug, info, warn or error, not %q%s",
			text, nearest.Hint(text, slices.Values([]string{"debug", "info", "warn", "error"})))
	}
	s.LogLevel = level
	return nil
}
