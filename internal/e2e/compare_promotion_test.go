package e2e

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"pc4patroni/funcs/patroni"

	"pc4patroni/internal/proctest"
)

// promotion is when each step of a change of the leader was seen.
type promotion struct {
	from, to  string
	asked     time.Time // for a switchover, or the old primary killed
	unlocked  time.Time // the leader key is gone
	locked    time.Time // the leader key names the new one: primary changes
	recovered time.Time // pg_is_in_recovery() is false on the new one
	written   time.Time // it has committed a write
	promoted  time.Time // the new one's member key says so: promoted changes
}

// probe asks a replica again and again until it has been promoted and has written. The
// times are zero if ctx ends before that.
func probe(ctx context.Context, n *node) (recovered, written time.Time, err error) {
	s, err := openSession(ctx, superuser(n.PG))
	if err != nil {
		return recovered, written, err
	}
	defer s.close()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		got, err := s.ask("select pg_is_in_recovery()")
		if ctx.Err() != nil {
			return recovered, written, nil
		}
		if err != nil {
			return recovered, written, fmt.Errorf("ask %s: %w", n.Name, err)
		}
		if got == "f" {
			recovered = time.Now()
			if _, err := s.ask("insert into promotions values (now())"); err != nil {
				return recovered, written, fmt.Errorf("write to %s: %w", n.Name, err)
			}
			return recovered, time.Now(), nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return recovered, written, nil
		}
	}
}

// observe runs something that makes another node the primary, and tells when each step
// came, by the keys and by SQL.
func observe(t *testing.T, c *cluster, r *recording, change func()) promotion {
	t.Helper()
	old := c.primary(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	p := promotion{from: old.Name}
	var mu sync.Mutex
	var probes sync.WaitGroup
	defer probes.Wait()
	defer cancel()
	for _, n := range c.nodes {
		if n == old {
			continue
		}
		probes.Go(func() {
			recovered, written, err := probe(ctx, n)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			} else if !written.IsZero() {
				p.to, p.recovered, p.written = n.Name, recovered, written
			}
		})
	}
	p.asked = time.Now()
	change()
	proctest.Eventually(t, time.Minute, "another node is primary by SQL and by the keys", func() error {
		mu.Lock()
		defer mu.Unlock()
		if p.to == "" {
			return fmt.Errorf("none writes")
		}
		if now := decode(t, r, c).Promoted(); now == nil || now.Name != p.to {
			return fmt.Errorf("promoted is %v, and %s writes", now, p.to)
		}
		return nil
	})
	for _, s := range r.snapshots(c.scope, p.asked) {
		if s.from.Before(p.asked) {
			continue
		}
		now := patroni.Decode(namespace+c.scope, s.keys)
		if now.LeaderName == "" && p.unlocked.IsZero() {
			p.unlocked = s.from
		}
		if now.LeaderName == p.to && p.locked.IsZero() {
			p.locked = s.from
		}
		if m := now.Promoted(); m != nil && m.Name == p.to && p.promoted.IsZero() {
			p.promoted = s.from
		}
	}
	// Patroni sets the role after it has asked PostgreSQL. The probe comes round every
	// few milliseconds, or rather later on a machine that is busy.
	if early := p.recovered.Sub(p.promoted); early > time.Second {
		t.Errorf("promoted is %s already %v before it takes writes", p.to, early)
	}
	return p
}

// runs is how often the changes are measured: once to see that they are followed,
// oftener for the figures in docs/patroni.md.
func runs(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(cmp.Or(os.Getenv("PC4PATRONI_RUNS"), "1"))
	if err != nil || n < 1 {
		t.Fatalf("PC4PATRONI_RUNS is no number of runs: %v", err)
	}
	return n
}

// setCycle gives Patroni the cycle of PC4PATRONI_LOOP_WAIT in seconds, and a lease three
// times as long, as by default. Unset, it keeps the shortest, which saves time.
func setCycle(t *testing.T, c *cluster) {
	t.Helper()
	text := os.Getenv("PC4PATRONI_LOOP_WAIT")
	if text == "" {
		return
	}
	seconds, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("PC4PATRONI_LOOP_WAIT is no number of seconds: %v", err)
	}
	c.configure(t, fmt.Sprintf(`{"loop_wait": %d, "ttl": %d}`, seconds, max(20, 3*seconds)))
}
