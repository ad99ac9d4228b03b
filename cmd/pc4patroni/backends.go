package main

import (
	"fmt"

	"pc4patroni/backends"
	"pc4patroni/backends/etcd"
	"pc4patroni/backends/file"
)

// open connects to a backend by its name. Another kind of backend is one more
// case here, and its options in package config.
func (p *program) open(name string) (backends.Backend, error) {
	b, ok := p.backends.Load().Get(name)
	if !ok {
		return nil, fmt.Errorf("no backend is called %q", name)
	}
	log := p.log.With("backend", name)
	if b.Kind == "file" {
		return file.New(file.Config{Files: b.Files, Logger: log})
	}
	return etcd.New(etcd.Config{
		Nodes:          b.Nodes,
		SRVDomain:      b.SRVDomain,
		SRVRecord:      b.SRVRecord,
		Scheme:         b.Scheme,
		Username:       b.Username,
		Password:       string(b.Password),
		PasswordFile:   b.PasswordFile,
		ClientCert:     b.ClientCert,
		ClientKey:      b.ClientKey,
		ClientCAKeys:   b.ClientCAKeys,
		ClientInsecure: b.ClientInsecure,
		DialTimeout:    b.DialTimeout,
		RequestTimeout: b.RequestTimeout,
		Logger:         log,
	})
}
