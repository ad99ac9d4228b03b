package config

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
)

// resolve settles what depends on more than one option, and finds
// contradictions. Where two options contradict each other, the one from the
// stronger source wins; of equals it is an error.
func (s *Settings) resolve() (warnings []string, err error) {
	if s.Mode, err = s.mode(); err != nil {
		return nil, err
	}
	if s.ExitCode && !s.Noop {
		return nil, usagef("-exit-code needs -noop")
	}
	if s.Mode != Show && s.Mode != Check && s.source("o") == fromFlag {
		return nil, usagef("-o needs -show or -check")
	}
	if s.DestDir != "" {
		dir, err := filepath.Abs(s.DestDir)
		if err != nil {
			return nil, usagef("-destdir %s: %v", s.DestDir, err)
		}
		s.DestDir = dir
	}
	if s.source("password") == fromFlag {
		warnings = append(warnings, "a password on the command line is visible to every user of this host; use -password-file")
	}
	if err := s.Backend.resolve(s.source); err != nil {
		return nil, usagef("%v", err)
	}
	return warnings, nil
}

// mode returns the mode that the flags ask for. A -noop that was typed implies
// -onetime; one from elsewhere leaves the daemon a daemon.
func (s *Settings) mode() (Mode, error) {
	typed := func(name string) bool { return s.source(name) == fromFlag }
	once := s.oneTime || s.Noop && (typed("noop") || s.ExitCode) && !typed("onetime")
	mode, by := Daemon, ""
	for _, asked := range []struct {
		mode Mode
		flag string
		set  bool
	}{
		{OneTime, "onetime", s.oneTime}, {OneTime, "noop", s.Noop}, {Check, "check", s.check}, {Show, "show", s.show},
		{Dump, "dump", s.DumpFile != ""}, {Sample, "sample", true},
	} {
		switch {
		case !asked.set || !typed(asked.flag):
		case by == "":
			mode, by = asked.mode, asked.flag
		case mode != asked.mode:
			return 0, usagef("-%s and -%s cannot be used together", by, asked.flag)
		}
	}
	switch {
	case mode == Daemon && once:
		return OneTime, nil
	case mode == OneTime && !once:
		return Daemon, nil // -noop -onetime=false
	}
	return mode, nil
}

// resolve settles which store is read. from tells the source of the strongest
// of some options.
func (b *Backend) resolve(from func(names ...string) source) error {
	if err := b.resolveKind(from("backend"), from("file"), from("node", "srv-domain", "srv-record")); err != nil {
		return err
	}
	if b.Kind == "file" {
		if len(b.Files) == 0 {
			return errors.New("backend file needs a snapshot: name one with file")
		}
		return nil
	}

	// As in confd, SRV records win over nodes of the same source.
	if b.SRVDomain != "" || b.SRVRecord != "" {
		if from("node") > from("srv-domain", "srv-record") {
			b.SRVDomain, b.SRVRecord = "", ""
		} else {
			b.Nodes = nil
		}
	}
	if b.Password != "" && b.PasswordFile != "" {
		switch {
		case from("password") > from("password-file"):
			b.PasswordFile = ""
		case from("password") < from("password-file"):
			b.Password = ""
		default:
			return errors.New("password and password-file cannot both be set")
		}
	}
	hasPassword := b.Password != "" || b.PasswordFile != ""
	switch {
	case b.Username == "" && hasPassword:
		return errors.New("a password needs a user: set username")
	case b.Username != "" && !hasPassword:
		return errors.New("username needs a password: set password-file")
	case b.Username == "" && b.BasicAuth:
		return errors.New("basic-auth needs username")
	case (b.ClientCert == "") != (b.ClientKey == ""):
		return errors.New("client-cert and client-key must be set together")
	}
	return b.resolveScheme(from("node") == fromDefault)
}

// resolveKind sets the kind of backend. It is what the strongest source says:
// with backend, or else with what only one kind has.
func (b *Backend) resolveKind(backend, file, nodes source) error {
	if b.Kind == "etcdv3" {
		b.Kind = "etcd"
	}
	switch {
	case backend == file && file > fromDefault && b.Kind == "etcd":
		return errors.New("backend etcd cannot read a file: set one of the two")
	case backend >= max(file, nodes):
	case file == nodes:
		return errors.New("file and node cannot both be set; choose with backend")
	case file > nodes:
		b.Kind = "file"
	default:
		b.Kind = "etcd"
	}
	return nil
}

// resolveScheme finds nodes that do not go with each other. The default node
// takes the scheme that the other options call for.
func (b *Backend) resolveScheme(isDefault bool) error {
	if isDefault {
		usesTLS := b.ClientCert != "" || b.ClientCAKeys != "" || b.ClientInsecure
		if b.Scheme == "https" || b.Scheme == "" && usesTLS {
			for i, node := range b.Nodes {
				b.Nodes[i] = strings.Replace(node, "http://", "https://", 1)
			}
		}
		return nil
	}
	some := func(scheme string) bool {
		return slices.ContainsFunc(b.Nodes, func(node string) bool { return strings.HasPrefix(node, scheme) })
	}
	if some("http://") && some("https://") {
		return errors.New("some nodes begin with http:// and some with https://: all must have the same scheme")
	}
	return nil
}
