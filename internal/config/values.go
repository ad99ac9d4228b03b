package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"pc4patroni/internal/nearest"
	"pc4patroni/internal/tomlfile"
)

const (
	// minimumInterval keeps a slip of the unit ("60ms") from reading the whole
	// backend in a loop.
	minimumInterval = time.Second
	minimumTimeout  = 10 * time.Millisecond
)

// isBool tells whether the option is a switch.
func (o *option) isBool() bool {
	_, ok := o.at.(*bool)
	return ok
}

// isList tells whether the option may be given several times, and with commas.
func (o *option) isList() bool {
	_, ok := o.at.(*[]string)
	return ok
}

// set parses text into the settings that the option points to. Its error
// continues a sentence that names the option.
func (o *option) set(text string) (err error) {
	texts := []string{text}
	if o.isList() {
		texts = elements(text)
	}
	for _, t := range texts {
		if strings.ContainsRune(t, 0) {
			return errors.New("must not contain a NUL character")
		}
		if o.check == nil {
			continue
		}
		if err := o.check(t); err != nil {
			return err
		}
	}
	switch at := o.at.(type) {
	case *string:
		if *at = text; o.words != nil && !slices.Contains(o.words, text) {
			err = o.notAWord(text)
		}
	case *Secret:
		*at = Secret(text)
	case *[]string:
		*at = texts
	case *bool:
		if *at, err = strconv.ParseBool(text); err != nil {
			err = fmt.Errorf("must be true or false, not %q", text)
		}
	case *time.Duration:
		if *at, err = tomlfile.ParseDuration(text); err == nil && *at < o.lowest {
			err = fmt.Errorf("must be at least %s, not %s", o.lowest, *at)
		}
	case *slog.Level:
		var ok bool
		if *at, ok = levels[strings.ToLower(text)]; !ok {
			err = o.notAWord(text)
		}
	}
	return err
}

// elements splits a list at its commas. Empty elements are skipped: scripts
// build such lists.
func elements(text string) (found []string) {
	for element := range strings.SplitSeq(text, ",") {
		if element = strings.TrimSpace(element); element != "" {
			found = append(found, element)
		}
	}
	return found
}

// notAWord says which words the option takes.
func (o *option) notAWord(text string) error {
	last := len(o.words) - 1
	return fmt.Errorf("must be %s or %s, not %q%s",
		strings.Join(o.words[:last], ", "), o.words[last], text, nearest.Hint(text, o.words))
}

// levels are the log levels by name, those of confd too; panic and fatal are
// what this program calls an error.
var levels = map[string]slog.Level{
	"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	"warning": slog.LevelWarn, "fatal": slog.LevelError, "panic": slog.LevelError,
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
		return errors.New("must not contain a user name and password; use -username and -password-file")
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%s, not with scheme %q%s", want, u.Scheme, nearest.Hint(u.Scheme, []string{"http", "https"}))
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

func checkBackendKind(text string) error {
	if slices.Contains(otherBackends, text) {
		return fmt.Errorf("cannot be %q: only etcd (API v3) and file are supported", text)
	}
	return nil
}

func checkListen(text string) error {
	if text == "" {
		return nil
	}
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return fmt.Errorf("must be an address and a port, such as 127.0.0.1:9547, not %q", text)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("must end with a port number, such as 127.0.0.1:9547, not %q", text)
	}
	return nil
}
