package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"pc4patroni/funcs/patroni"

	"pc4patroni/internal/proctest"
)

// TestComparison holds what this program makes of the keys of a real Patroni cluster
// against Patroni's own answers, through everything that can happen to a cluster.
//
// Every revision of etcd is recorded. The members' REST APIs are asked all along, and an
// answer counts if etcd did not move meanwhile; patronictl, "-show -o json" and the
// template functions are asked afterwards about every single revision. What differs must
// be of a kind that docs/patroni.md explains.
func TestComparison(t *testing.T) {
	proctest.Need(t, "etcd", "patroni", "patronictl", "pg_controldata", "psql")
	whole := t
	c := startPatroni(t, "batman")
	client := c.etcd.client(t, nil, "", "")
	s := &sampler{client: client}
	r := record(t, client)
	began := time.Now()
	found := differences{}

	compare := func(t *testing.T, c *cluster, name string, since time.Time) {
		t.Helper()
		r.await(t)
		snapshots := r.snapshots(c.scope, since)
		tl := timeline{snapshots, replay(t, c, name, snapshots, found)}
		samples := s.since(since)
		compareSamples(t, tl, samples, found)
		t.Logf("%s: %d revisions, %d samples of the REST APIs", name, len(snapshots), len(samples))
	}
	// After a phase that has failed the cluster may be in any state.
	step := func(name string, run func(t *testing.T)) {
		if !t.Run(name, run) {
			t.FailNow()
		}
	}
	phase := func(name string, run func(t *testing.T)) {
		step(name, func(t *testing.T) {
			since := time.Now()
			run(t)
			compare(t, c, strings.ReplaceAll(name, " ", "-"), since)
		})
	}

	phase("at rest", func(t *testing.T) { compareAtRest(t, c, s, r, found) })
	phase("switchover", func(t *testing.T) {
		p := c.primary(t)
		s.during(t, "switchover", c, func() {
			c.handOver(t, p, c.other(p))
			c.awaitHealthy(t)
		})
		s.once(t, "switchover", c)
	})
	phase("synchronous", func(t *testing.T) { compareSynchronous(t, c, s, found) })
	step("standby cluster", func(t *testing.T) {
		dr := startStandbyCluster(t, c, "batman-dr")
		since := time.Now()
		compareStandby(t, dr, s, found)
		compare(t, dr, "standby-cluster", since)
	})
	phase("crash", func(t *testing.T) {
		s.during(t, "crash", c, func() {
			s.kill(c.primary(t).Name)
			dead := c.crash(t)
			compareDead(t, c, s)
			proctest.Eventually(t, time.Minute, "another node has promoted itself", func() error {
				if p := decode(t, r, c).Promoted(); p == nil || p.Name == dead.Name {
					return fmt.Errorf("promoted is %v", p)
				}
				return nil
			})
			s.kill("")
			// Until the end of the whole test, not of this phase.
			c.bringBack(whole, t, dead)
		})
		s.once(t, "crash", c)
	})
	step("followed", func(t *testing.T) { testFollowed(t, whole, c, r) })
	// Last, because it clones a node anew: Patroni 3.0.2 now and then takes the PostgreSQL
	// that it has just started there for one that failed to start, and never looks again.
	phase("paused", func(t *testing.T) { comparePaused(t, c, s, found) })

	found.report(t)
	t.Logf("%d samples, and %d more during which etcd moved on, in %v", len(s.samples), s.moved, time.Since(began).Round(time.Second))
}

// since returns the samples taken after a moment.
func (s *sampler) since(moment time.Time) []sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, one := range s.samples {
		if !one.at.Before(moment) {
			return s.samples[i:]
		}
	}
	return nil
}

// decode is the cluster as it is now.
func decode(t *testing.T, r *recording, c *cluster) *patroni.Cluster {
	t.Helper()
	all := r.snapshots(c.scope, time.Now())
	return patroni.Decode(namespace+c.scope, all[len(all)-1].keys)
}

// compareAtRest goes through what members say of themselves: tags and lag.
func compareAtRest(t *testing.T, c *cluster, s *sampler, r *recording, found differences) {
	s.once(t, "healthy", c)
	compareLive(t, c, s, "healthy", found)
	p := c.primary(t)
	tagged, behind := c.other(p), c.other(p, c.other(p))

	config := proctest.Read(t, tagged.config)
	proctest.Write(t, config+"tags: {noloadbalance: true, zone: b, weight: 50}\n", tagged.config)
	tagged.Signal(t, syscall.SIGHUP)
	awaitKey(t, c, "members/"+tagged.Name, `"zone":"b"`)
	s.once(t, "noloadbalance", c)
	compareLive(t, c, s, "noloadbalance", found)
	proctest.Write(t, config, tagged.config)
	tagged.Signal(t, syscall.SIGHUP)

	// A replica that receives and cannot replay, because of a reader. To pause its replay
	// would not do: Patroni resumes that in every cycle.
	c.sql(t, p.PG, "create table held as select 1")
	reader, err := openSession(t.Context(), superuser(behind.PG))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.close()
	proctest.Eventually(t, 20*time.Second, "the replica has the table", func() error {
		_, err := reader.ask("begin; select * from held")
		if err != nil {
			_, _ = reader.ask("rollback")
		}
		return err
	})
	c.sql(t, p.PG, "drop table held; create table wal as select repeat('x', 1000) from generate_series(1, 4000)")
	proctest.Eventually(t, 20*time.Second, "the replica is behind", func() error {
		if got := behind.ask(t.Context(), "GET", "/replica?lag="+lagLimit, ""); got.yes() {
			return fmt.Errorf("it replayed %d, status is %s", got.WAL.Replayed, c.key(t, "status"))
		}
		// Its key tells in the next cycle that it has received everything.
		if m := decode(t, r, c).Member(behind.Name); m.ReceiveLag > 1<<20 {
			return fmt.Errorf("it has yet to receive %d bytes", m.ReceiveLag)
		}
		return nil
	})
	s.once(t, "replay held up", c)
	if _, err := reader.ask("commit"); err != nil {
		t.Error(err)
	}
	c.sql(t, p.PG, "drop table wal")
	c.awaitHealthy(t)
	awaitNoKey(t, c, "members/"+tagged.Name, `"tags"`)
	s.once(t, "healthy", c)
}

// compareSynchronous switches synchronous mode on, over, and off.
func compareSynchronous(t *testing.T, c *cluster, s *sampler, found differences) {
	p := c.primary(t)
	s.during(t, "synchronous mode on", c, func() {
		c.configure(t, `{"synchronous_mode": true}`)
		awaitKey(t, c, "sync", `"sync_standby":"`)
	})
	s.once(t, "synchronous", c)
	compareLive(t, c, s, "synchronous", found)
	standby := c.other(p)
	if !strings.Contains(c.key(t, "sync"), standby.Name) {
		standby = c.other(p, standby)
	}
	s.during(t, "synchronous switchover", c, func() {
		c.handOver(t, p, standby)
		c.awaitHealthy(t)
		awaitKey(t, c, "sync", `"sync_standby":"`)
	})
	s.once(t, "synchronous", c)
	s.during(t, "synchronous mode off", c, func() {
		c.configure(t, `{"synchronous_mode": null}`)
		awaitNoKey(t, c, "sync", "leader")
	})
	s.once(t, "asynchronous again", c)
}

// comparePaused pauses the cluster and promotes a replica by hand, which makes two
// primaries of which one has the lock.
func comparePaused(t *testing.T, c *cluster, s *sampler, found differences) {
	p := c.primary(t)
	byHand := c.other(p)
	s.during(t, "pause", c, func() {
		c.configure(t, `{"pause": true}`)
		for _, n := range c.nodes {
			awaitKey(t, c, "members/"+n.Name, `"pause":true`)
		}
	})
	s.once(t, "paused", c)
	got := proctest.Invoke(t, []string{"HOME=" + c.dir}, proctest.Program("patronictl"), "-c", p.config, "list")
	if !strings.Contains(got.Stdout, "Maintenance mode: on") {
		t.Errorf("patronictl does not call the cluster paused:\n%s", got.Stdout)
	}
	s.during(t, "promoted by hand", c, func() {
		c.sql(t, byHand.PG, "select pg_promote()")
		proctest.Eventually(t, 20*time.Second, "the second primary is in etcd", func() error {
			if value := c.key(t, "members/"+byHand.Name); !primaryRole.MatchString(value) {
				return fmt.Errorf("it is %s", value)
			}
			return nil
		})
	})
	s.once(t, "promoted by hand", c)
	compareLive(t, c, s, "promoted by hand", found)
	s.during(t, "pause over", c, func() {
		c.configure(t, `{"pause": null}`)
		// Cloned anew, because whether pg_rewind is enough depends on what was written. The
		// base backup begins with a checkpoint, which must not be spread over minutes.
		c.sql(t, p.PG, "checkpoint")
		// Not before Patroni has demoted it: 3.0.2 would start PostgreSQL in a directory that
		// it is just removing, and wait for it for good.
		proctest.Eventually(t, 40*time.Second, "the second primary is demoted and runs", func() error {
			if value := c.key(t, "members/"+byHand.Name); !runningReplica.MatchString(value) {
				return fmt.Errorf("it is %s", value)
			}
			return nil
		})
		proctest.Eventually(t, 20*time.Second, "the second primary is cloned anew", func() error {
			if got := byHand.ask(t.Context(), "POST", "/reinitialize", `{"force": true}`); !got.yes() {
				return fmt.Errorf("POST /reinitialize: status %d", got.Code)
			}
			return nil
		})
		c.awaitHealthy(t)
	})
	s.once(t, "pause over", c)
}

// compareDead takes samples of a cluster whose primary is dead and still in etcd, and then
// ends that state as the expiry of the lease would: the keys of the leader and of the
// member go in one revision. testFollowed waits for the expiry itself.
func compareDead(t *testing.T, c *cluster, s *sampler) {
	t.Helper()
	began := time.Now()
	proctest.Eventually(t, 20*time.Second, "there are samples of the dead primary", func() error {
		if n := len(s.since(began)); n < 20 {
			return fmt.Errorf("%d samples", n)
		}
		return nil
	})
	got, err := s.client.Get(t.Context(), namespace+c.scope+"/leader")
	if err != nil || len(got.Kvs) != 1 {
		t.Fatalf("the dead primary's lock: %v, %v", got, err)
	}
	if _, err := s.client.Revoke(t.Context(), clientv3.LeaseID(got.Kvs[0].Lease)); err != nil {
		t.Fatal(err)
	}
}

// crash kills the primary's Patroni and PostgreSQL, as a host does that loses its power.
func (c *cluster) crash(t *testing.T) *node {
	t.Helper()
	n := c.primary(t)
	c.cutPower(t, n)
	return n
}

func (c *cluster) cutPower(t *testing.T, n *node) {
	t.Helper()
	pids := []int{-n.Cmd.Process.Pid}
	// One that did not come up has none.
	if file, err := os.ReadFile(filepath.Join(n.data, "postmaster.pid")); err == nil {
		pid, _, _ := strings.Cut(string(file), "\n")
		postmaster, err := strconv.Atoi(pid)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, postmaster)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatalf("kill %s: %v", n.Name, err)
		}
	}
	<-n.Done
}

// bringBack starts a crashed node again, until the end of the test whole, and waits until
// the cluster is healthy. Patroni 3.0.2 now and then hangs for good in its first connection
// to a PostgreSQL that has just recovered; then it is started once more, as a person would.
func (c *cluster) bringBack(whole, t *testing.T, n *node) {
	t.Helper()
	for tries := 1; ; tries++ {
		c.restart(whole, n)
		if tries == 3 || c.replicates(t, n, 40*time.Second) {
			break
		}
		t.Logf("%s does not replicate 40 s after its start: it is started again", n.Name)
		c.cutPower(t, n)
	}
	c.awaitHealthy(t)
}

// replicates tells whether a node answers as a replica within some time.
func (c *cluster) replicates(t *testing.T, n *node, within time.Duration) bool {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(within); time.Now().Before(deadline); <-tick.C {
		if code, err := n.rest(t, "/replica"); err == nil && code == http.StatusOK {
			return true
		}
	}
	return false
}

// restart starts a node again that has crashed. It runs until the end of the test that
// is given.
func (c *cluster) restart(t *testing.T, n *node) {
	t.Helper()
	n.Server = proctest.Launch(t, filepath.Dir(n.config), "patroni-"+n.Name, proctest.Owner(t), nil, "patroni", n.config)
	n.StopWith = []syscall.Signal{syscall.SIGKILL}
}

// awaitKey waits until a key of the cluster holds the text.
func awaitKey(t *testing.T, c *cluster, key, text string) {
	t.Helper()
	proctest.Eventually(t, 30*time.Second, key+" holds "+text, func() error {
		if value := c.key(t, key); !strings.Contains(value, text) {
			return fmt.Errorf("it is %q", value)
		}
		return nil
	})
}

// awaitNoKey waits until a key of the cluster does not hold the text, or is gone.
func awaitNoKey(t *testing.T, c *cluster, key, text string) {
	t.Helper()
	proctest.Eventually(t, 30*time.Second, key+" does not hold "+text, func() error {
		if value := c.key(t, key); strings.Contains(value, text) {
			return fmt.Errorf("it is %q", value)
		}
		return nil
	})
}
