package main

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"pc4patroni/backends"
	"pc4patroni/backends/etcd"
	"pc4patroni/backends/file"
	"pc4patroni/resource"
)

// stores names the backends of one configuration by keys, so that resources
// with equal settings share a connection. It may be used by several
// goroutines.
type stores struct {
	global settings
	log    *slog.Logger

	mu    sync.Mutex
	byKey map[string]backendSettings
}

func newStores(global settings, log *slog.Logger) *stores {
	return &stores{global: global, log: log, byKey: make(map[string]backendSettings)}
}

// key returns the name of the backend that a resource's [backend] table
// describes; of the global one when there is no table. The name is for people
// too: it says where the store is, and holds no secret.
func (s *stores) key(table map[string]any, locate func(key string, err error) error) (string, error) {
	b := s.global.Backend
	if len(table) > 0 {
		var err error
		if b, err = s.fromTable(table, locate); err != nil {
			return "", err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, known := range s.byKey {
		if known.sharesWith(&b) {
			return name, nil
		}
	}
	address := b.address()
	name := address
	for n := 2; ; n++ {
		if _, taken := s.byKey[name]; !taken {
			s.byKey[name] = b
			return name, nil
		}
		name = fmt.Sprintf("%s (%d)", address, n)
	}
}

// renew returns stores for another global configuration. The backends that are
// in use, or all if that is not known yet, keep their names: equal settings
// keep their connection, and a name never stands for two backends at once.
func (s *stores) renew(global settings, used map[string]resource.BackendStatus) *stores {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := newStores(global, s.log)
	for name, b := range s.byKey {
		if _, inUse := used[name]; inUse || len(used) == 0 {
			next.byKey[name] = b
		}
	}
	return next
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
func (s *stores) fromTable(table map[string]any, locate func(key string, err error) error) (backendSettings, error) {
	values, keyErrs := tableValues(table, func(o *option) bool { return o.forBackend })
	given := make(map[string]bool)
	for _, v := range values {
		given[v.option.name] = true
	}
	own := invocation{}.defaults()
	if anyOf(given, "backend", "node", "srv-domain", "srv-record", "file") {
		own.Backend.DialTimeout = s.global.Backend.DialTimeout
		own.Backend.RequestTimeout = s.global.Backend.RequestTimeout
	} else {
		own.Backend, own.from = s.global.Backend, maps.Clone(s.global.from)
		b := &own.Backend
		b.Nodes = slices.Clone(b.Nodes)
		if anyOf(given, "username", "password", "password-file", "basic-auth") {
			b.Username, b.Password, b.PasswordFile, b.BasicAuth = "", "", "", false
		}
		if anyOf(given, "client-cert", "client-key") {
			b.ClientCert, b.ClientKey = "", ""
		}
	}
	for _, v := range values {
		own.put(v, fromResource)
	}

	var errs []error
	for _, e := range keyErrs {
		errs = append(errs, locate(e.key, e))
	}
	if len(errs) == 0 {
		if err := own.Backend.resolve(own.source); err != nil {
			errs = append(errs, locate("", err))
		}
	}
	return own.Backend, errors.Join(errs...)
}

func anyOf(given map[string]bool, names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return given[name] })
}

// address says in words where the store is.
func (b *backendSettings) address() string {
	switch {
	case b.Kind == "file":
		return "file " + strings.Join(b.Files, ",")
	case b.SRVRecord != "":
		return "etcd " + b.SRVRecord
	case b.SRVDomain != "":
		return "etcd " + b.SRVDomain
	default:
		return "etcd " + strings.Join(b.Nodes, ",")
	}
}

// sharesWith tells whether both describe the same way into the same store. The
// order of nodes does not matter.
func (b *backendSettings) sharesWith(other *backendSettings) bool {
	if b.Kind == "file" || other.Kind == "file" {
		return b.Kind == other.Kind && slices.Equal(b.Files, other.Files)
	}
	return reflect.DeepEqual(b.comparable(), other.comparable())
}

func (b *backendSettings) comparable() backendSettings {
	c := *b
	c.Files, c.BasicAuth = nil, false // without meaning for etcd
	c.Nodes = slices.Compact(slices.Sorted(slices.Values(b.Nodes)))
	return c
}

func (b *backendSettings) etcd(log *slog.Logger) etcd.Config {
	return etcd.Config{
		Nodes:          b.Nodes,
		SRVDomain:      b.SRVDomain,
		SRVRecord:      b.SRVRecord,
		Scheme:         b.Scheme,
		Username:       b.Username,
		Password:       string(b.Password),
		PasswordFile:   b.PasswordFile,
		BasicAuth:      b.BasicAuth,
		ClientCert:     b.ClientCert,
		ClientKey:      b.ClientKey,
		ClientCAKeys:   b.ClientCAKeys,
		ClientInsecure: b.ClientInsecure,
		DialTimeout:    b.DialTimeout,
		RequestTimeout: b.RequestTimeout,
		Logger:         log,
	}
}

// open returns the backend of a key. Another kind of backend is one more case
// here.
func (s *stores) open(key string) (backends.Backend, error) {
	s.mu.Lock()
	b, ok := s.byKey[key]
	s.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("no backend is called %q", key)
	}
	log := s.log.With("backend", key)
	if b.Kind == "file" {
		return file.New(file.Config{Files: b.Files, Logger: log})
	}
	return etcd.New(b.etcd(log))
}
