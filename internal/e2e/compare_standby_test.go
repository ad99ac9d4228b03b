package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pc4patroni/internal/proctest"
)

// startStandbyCluster brings up a cluster of two nodes in the same etcd that follows the
// primary of another.
func startStandbyCluster(t *testing.T, of *cluster, scope string) *cluster {
	t.Helper()
	who := proctest.Owner(t)
	dr := &cluster{dir: of.dir, scope: scope, etcd: of.etcd}
	// The base backup begins with a checkpoint, which PostgreSQL would spread over minutes
	// if there was much to write.
	of.sql(t, of.primary(t).PG, "checkpoint")
	upstream := fmt.Sprintf("    standby_cluster: {host: 127.0.0.1, port: %d}\n    postgresql:", of.primary(t).PG)
	for _, name := range []string{"dr1", "dr2"} {
		home := filepath.Join(dr.dir, name)
		if err := os.Mkdir(home, 0o755); err != nil {
			t.Fatal(err)
		}
		who.Give(t, home)
		n := &node{Name: name, PG: proctest.FreePort(t), REST: proctest.FreePort(t), data: filepath.Join(home, "data")}
		var config bytes.Buffer
		if err := patroniConfig.Execute(&config, map[string]any{
			"Scope": scope, "Node": n, "Etcd": dr.etcd.port, "Data": n.data, "Bin": filepath.Dir(proctest.Program("pg_controldata")),
		}); err != nil {
			t.Fatal(err)
		}
		text := strings.Replace(config.String(), "    postgresql:", upstream, 1)
		if text == config.String() {
			t.Fatal("the configuration of Patroni has no place for standby_cluster")
		}
		n.config = proctest.Write(t, text, home, "patroni.yml")
		forget := proctest.Undertaker.Watch(t, "kill -QUIT $(head -n 1 "+n.data+"/postmaster.pid)")
		t.Cleanup(func() { stopPostgres(t, n.data); forget() })
		n.Server = proctest.Launch(t, home, "patroni-"+name, who, nil, "patroni", n.config)
		n.StopWith = []syscall.Signal{syscall.SIGKILL}
		dr.nodes = append(dr.nodes, n)
	}
	dr.awaitStandby(t)
	return dr
}

// awaitStandby waits for a standby leader and its replica.
func (c *cluster) awaitStandby(t *testing.T) {
	t.Helper()
	proctest.Eventually(t, time.Minute, "the standby cluster has a leader and a replica", func() error {
		leader := c.key(t, "leader")
		if leader == "" {
			return fmt.Errorf("nobody leads it")
		}
		for _, n := range c.nodes {
			if err := n.Running(); err != nil {
				return err
			}
			endpoint, role := "/replica", `"role":"replica"`
			if n.Name == leader {
				endpoint, role = "/standby-leader", `"role":"standby_leader"`
			}
			if got := n.ask(t.Context(), http.MethodGet, endpoint, ""); !got.yes() {
				return fmt.Errorf("%s%s answers %+v", n.Name, endpoint, got)
			}
			if value := c.key(t, "members/"+n.Name); !strings.Contains(value, `"state":"running"`) || !strings.Contains(value, role) {
				return fmt.Errorf("%s is %s", n.Name, value)
			}
		}
		return nil
	})
}

// compareStandby has a standby cluster change its leader, and become a cluster of its own.
func compareStandby(t *testing.T, dr *cluster, s *sampler, found differences) {
	s.once(t, "standby cluster", dr)
	compareLive(t, dr, s, "standby cluster", found)
	p := dr.primary(t)
	next := dr.other(p)
	s.during(t, "standby switchover", dr, func() {
		dr.handOver(t, p, next)
		dr.awaitStandby(t)
	})
	s.once(t, "standby cluster", dr)
	s.during(t, "standby cluster promoted", dr, func() {
		dr.configure(t, `{"standby_cluster": null}`)
		dr.awaitHealthy(t)
	})
	s.once(t, "standby cluster promoted", dr)
}
