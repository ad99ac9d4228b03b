package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"pc4patroni/internal/tomlfile"
)

// Backends names the backends of one configuration, so that resources with
// equal settings share a connection. Once nobody calls Name any more, it may be
// used by several goroutines.
type Backends struct {
	global *Settings
	byName map[string]Backend
}

// NewBackends returns the backends of a configuration whose [backend] tables
// have not been read yet.
func NewBackends(global *Settings) *Backends {
	return &Backends{global: global, byName: make(map[string]Backend)}
}

// Renew returns the backends for another global configuration. Those that are
// in use keep their names: equal settings keep their connection, and a name
// never stands for two backends at once.
func (s *Backends) Renew(global *Settings, inUse func(name string) bool) *Backends {
	next := &Backends{global: global, byName: maps.Clone(s.byName)}
	maps.DeleteFunc(next.byName, func(name string, _ Backend) bool { return !inUse(name) })
	return next
}

// Get returns the settings of a name that Name returned.
func (s *Backends) Get(name string) (Backend, bool) {
	b, ok := s.byName[name]
	return b, ok
}

// Name returns the name of the backend that a resource's [backend] table
// describes; of the global one when there is no table. It is for people, too: it
// says where the store is. locate adds the place of a key to an error.
func (s *Backends) Name(table map[string]any, locate func(key string, err error) error) (string, error) {
	b := s.global.Backend
	if len(table) > 0 {
		var err error
		if b, err = s.fromTable(table, locate); err != nil {
			return "", err
		}
	}
	for name, known := range s.byName {
		if known.sharesWith(b) {
			return name, nil
		}
	}
	name := b.address()
	for n := 2; ; n++ {
		if _, taken := s.byName[name]; !taken {
			s.byName[name] = b
			return name, nil
		}
		name = fmt.Sprintf("%s (%d)", b.address(), n)
	}
}

// fromTable reads a [backend] table. What it does not say is inherited from
// the global settings only as far as no password goes astray:
//
//   - A table that says where the store is (backend, node, srv_domain,
//     srv_record, file) describes another store. It inherits the timeouts.
//   - Any other table describes another way into the global store. It inherits
//     all but what belongs together: naming any of username, password,
//     password_file and basic_auth drops the global four, and naming
//     client_cert or client_key drops the global two.
func (s *Backends) fromTable(table map[string]any, locate func(key string, err error) error) (Backend, error) {
	values, ignored, errs := tableValues(table, (*option).forBackend, locate)
	given := func(names ...string) bool {
		return slices.ContainsFunc(values, func(v assignment) bool { return slices.Contains(names, v.option.name) })
	}
	own := Invocation{}.defaults()
	if given("backend", "node", "srv-domain", "srv-record", "file") {
		own.Backend.DialTimeout = s.global.Backend.DialTimeout
		own.Backend.RequestTimeout = s.global.Backend.RequestTimeout
	} else {
		own.Backend, own.from = s.global.Backend, maps.Clone(s.global.from)
		b := &own.Backend
		b.Nodes = slices.Clone(b.Nodes) // resolve changes them
		if given("username", "password", "password-file", "basic-auth") {
			b.Username, b.Password, b.PasswordFile, b.BasicAuth = "", "", "", false
		}
		if given("client-cert", "client-key") {
			b.ClientCert, b.ClientKey = "", ""
		}
	}
	errs = append(append(errs, ignored...), own.put(values, fromResource)...)
	if len(errs) == 0 {
		if err := own.Backend.resolve(own.source); err != nil {
			errs = append(errs, locate("", err))
		}
	}
	tomlfile.Sort(errs)
	return own.Backend, errors.Join(errs...)
}

// address says in words where the store is.
func (b *Backend) address() string {
	if b.Kind == "file" {
		return "file " + strings.Join(b.Files, ",")
	}
	return "etcd " + cmp.Or(b.SRVRecord, b.SRVDomain, strings.Join(b.Nodes, ","))
}

// sharesWith tells whether both describe the same way into the same store. The
// order of nodes does not matter.
func (b Backend) sharesWith(other Backend) bool {
	if b.Kind == "file" || other.Kind == "file" {
		return b.Kind == other.Kind && slices.Equal(b.Files, other.Files)
	}
	for _, x := range []*Backend{&b, &other} {
		x.Files, x.BasicAuth = nil, false // without meaning for etcd
		x.Nodes = slices.Compact(slices.Sorted(slices.Values(x.Nodes)))
	}
	return reflect.DeepEqual(b, other)
}
