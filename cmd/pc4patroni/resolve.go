package main

import (
	"errors"
	"path/filepath"
	"strings"
)

// resolve settles what depends on more than one option, and finds
// contradictions. Where two options contradict each other, the one from the
// stronger source wins; of equals it is an error.
func (s *settings) resolve() (warnings []string, err error) {
	if err := s.resolveMode(); err != nil {
		return nil, err
	}
	if s.ExitCode && !s.Noop && s.source("exit-code") == fromFlag {
		return nil, usagef("-exit-code needs -noop")
	}
	if !s.Show && s.source("o") == fromFlag {
		return nil, usagef("-o needs -show")
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

// resolveMode leaves at most one mode set.
func (s *settings) resolveMode() error {
	modes := []struct {
		name string
		set  bool
		drop func()
	}{
		{"onetime", s.OneTime, func() { s.OneTime = false }},
		{"noop", s.Noop, func() { s.Noop = false }},
		{"check", s.Check, func() { s.Check = false }},
		{"show", s.Show, func() { s.Show = false }},
		{"dump", s.Dump != "", func() { s.Dump = "" }},
	}
	strongest := fromDefault
	for _, m := range modes {
		if m.set {
			strongest = max(strongest, s.source(m.name))
		}
	}
	var kept []string
	for _, m := range modes {
		if m.set && s.source(m.name) == strongest {
			kept = append(kept, m.name)
		}
	}
	once := func(mode string) bool { return mode == "onetime" || mode == "noop" }
	for _, mode := range kept {
		if mode != kept[0] && !(once(mode) && once(kept[0])) {
			return usagef("-%s and -%s exclude each other", kept[0], mode)
		}
	}
	for _, m := range modes {
		// A noop in the configuration file holds for -onetime too.
		weaker := m.set && s.source(m.name) < strongest
		if weaker && !(once(m.name) && once(kept[0])) {
			m.drop()
		}
	}
	s.OneTime = s.OneTime || s.Noop
	return nil
}

// resolve settles which store is read. from tells the source of the strongest
// of some options.
func (b *backendSettings) resolve(from func(names ...string) source) error {
	// A snapshot implies its backend, unless a stronger source says otherwise.
	if len(b.Files) > 0 && b.Kind != "file" {
		switch {
		case from("backend") == from("file"):
			return errors.New("backend etcd and file exclude each other")
		case from("backend") < from("file") && from("node", "srv-domain", "srv-record") <= from("file"):
			b.Kind = "file"
		}
	}
	if b.Kind == "file" {
		if len(b.Files) == 0 {
			return errors.New("backend file needs a snapshot to read: name it with file")
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
			return errors.New("password and password-file exclude each other")
		}
	}
	if b.Username == "" && (b.Password != "" || b.PasswordFile != "") {
		return errors.New("a password needs username")
	}
	if b.Username != "" && b.Password == "" && b.PasswordFile == "" {
		return errors.New("username needs password-file or password")
	}
	if b.BasicAuth && b.Username == "" {
		return errors.New("basic-auth needs username")
	}
	if (b.ClientCert == "") != (b.ClientKey == "") {
		return errors.New("client-cert and client-key need each other")
	}
	return b.resolveScheme(from("node") == fromDefault)
}

// resolveScheme finds nodes that do not go with each other. The default node
// takes the scheme that the other options call for.
func (b *backendSettings) resolveScheme(isDefault bool) error {
	if isDefault {
		usesTLS := b.ClientCert != "" || b.ClientCAKeys != "" || b.ClientInsecure
		if b.Scheme == "https" || b.Scheme == "" && usesTLS {
			for i, node := range b.Nodes {
				b.Nodes[i] = strings.Replace(node, "http://", "https://", 1)
			}
		}
		return nil
	}
	var plain, secured int
	for _, node := range b.Nodes {
		switch {
		case strings.HasPrefix(node, "http://"):
			plain++
		case strings.HasPrefix(node, "https://"):
			secured++
		}
	}
	if plain > 0 && secured > 0 {
		return errors.New("some nodes begin with http:// and some with https://: all must have the same scheme")
	}
	return nil
}
