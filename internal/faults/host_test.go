package faults

import (
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"pc4patroni/internal/proctest"
)

// host is proctest's, with what only these tests do to it.
type host struct{ *proctest.Host }

func newHost(t testing.TB, etcd *clientv3.Client, nodes ...string) *host {
	t.Helper()
	return &host{proctest.NewHost(t, etcd, nodes...)}
}
