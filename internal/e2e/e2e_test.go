package e2e

import "testing"

// TestE2E holds the end-to-end tests, so that they share one Patroni cluster, which is
// gone at its end.
func TestE2E(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers: not with -short")
	}
	t.Run("samples render", testSamplesRender)
	t.Run("HAProxy accepts the sample", testHAProxyAccepts)
	t.Run("HAProxy checks over TLS and IPv6", testHAProxyTLS)
	t.Run("HAProxy follows a member that moved", testHAProxyMoved)
	t.Run("HAProxy is told over its socket", testHAProxyRuntime)
	t.Run("PgBouncer starts with the sample", testPgBouncerStarts)
	t.Run("PgBouncer's check finds bad files", testPgBouncerCheck)
	t.Run("PgBouncer's check agrees with PgBouncer", testPgBouncerCheckAgrees)
	t.Run("PgBouncer includes a file", testPgBouncerInclude)
	t.Run("a standby cluster is promoted", testStandbySite)
	t.Run("the samples are accepted", testGalleryAccepted)
	t.Run("ports of a namespace", testNamespacePorts)
	t.Run("two clusters of a namespace want one port", testNamespaceCollision)
	t.Run("a namespace with a primary without the lock", testNamespaceHeld)
	t.Run("confd's command line", testConfdCommandLine)
	t.Run("confd's templates", testConfdTemplates)
	t.Run("big files in their order, 100 fresh hosts", testBigOrderOnce)
	t.Run("big files in their order, 100 changes", testBigOrderDaemon)
	t.Run("a slow disk and files in their order, 25 fresh hosts", testSlowOrderOnce)
	t.Run("a slow disk and files in their order, 25 changes", testSlowOrderDaemon)
	t.Run("etcd with users", testEtcdUsers)
	t.Run("etcd with TLS", testEtcdTLS)
	t.Run("Patroni", func(t *testing.T) {
		c := startPatroni(t, "batman")
		t.Run("both proxies follow a switchover", func(t *testing.T) { testSwitchover(t, c) })
		t.Run("the samples follow a switchover", func(t *testing.T) { testGallerySwitchover(t, c) })
		t.Run("Pgpool-II takes over a weight without a restart", func(t *testing.T) { testPgpoolWeight(t, c) })
		t.Run("libpq does not read from a tagged replica", func(t *testing.T) { testReadsThroughLibpq(t, c) })
		t.Run("synchronous replicas and a namespace through HAProxy", func(t *testing.T) { testHAProxySync(t, c) })
		t.Run("PgBouncer's options", func(t *testing.T) { testPgBouncerOptions(t, c) })
		t.Run("two PgBouncers on one port", func(t *testing.T) { testPgBouncerPair(t, c) })
		// The last one, because it leaves one node dead.
		t.Run("the daemon follows a switchover and a crash", func(t *testing.T) { testDaemonFollows(t, c) })
	})
}
