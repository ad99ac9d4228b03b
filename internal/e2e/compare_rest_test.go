package e2e

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"pc4patroni/internal/proctest"
)

// lagLimit is that of "/replica?lag=" and of maxLag in the comparison.
const lagLimit = "1MB"

// endpoints are the questions of the REST API that the keys in etcd answer as well.
var endpoints = []string{"primary", "replica", "replica?lag=" + lagLimit, "sync", "async", "read-only", "standby-leader", "leader"}

// answer is what a member's REST API said. A code of 0 means that nobody answered.
type answer struct {
	Code  int
	State string `json:"state"`
	Role  string `json:"role"`
	WAL   struct {
		Location int64 `json:"location"`
		Replayed int64 `json:"replayed_location"`
	} `json:"xlog"`
}

func (a answer) yes() bool { return a.Code == http.StatusOK }

// sample is what all members of a cluster answered while etcd stood at one revision.
type sample struct {
	phase   string
	scope   string
	rev     int64
	at      time.Time
	killed  string                       // the member that the test has killed, or ""
	answers map[string]map[string]answer // by member, then by endpoint
}

// sampler collects samples. Those during which etcd moved on are counted only.
type sampler struct {
	client *clientv3.Client

	mu      sync.Mutex // guards what follows
	samples []sample
	moved   int
	killed  string
}

func (s *sampler) kill(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.killed = name
}

// revision is etcd's own, and not that of the keys: it is read as a follower reads.
func (s *sampler) revision(ctx context.Context) (int64, error) {
	got, err := s.client.Get(ctx, namespace, clientv3.WithCountOnly())
	if err != nil {
		return 0, err
	}
	return got.Header.Revision, nil
}

// take asks every member everything, between two looks at the revision.
func (s *sampler) take(ctx context.Context, phase string, c *cluster) (taken bool, err error) {
	s.mu.Lock()
	killed := s.killed
	s.mu.Unlock()
	got := sample{phase: phase, scope: c.scope, at: time.Now(), killed: killed, answers: map[string]map[string]answer{}}
	if got.rev, err = s.revision(ctx); err != nil {
		return false, err
	}
	var group sync.WaitGroup
	for _, n := range c.nodes {
		answers := map[string]answer{}
		got.answers[n.Name] = answers
		group.Go(func() {
			for _, endpoint := range endpoints {
				answers[endpoint] = n.ask(ctx, http.MethodGet, "/"+endpoint, "")
			}
		})
	}
	group.Wait()
	after, err := s.revision(ctx)
	if err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if after != got.rev || s.killed != killed {
		s.moved++
		return false, nil
	}
	s.samples = append(s.samples, got)
	return true, nil
}

// during takes samples while the function runs.
func (s *sampler) during(t *testing.T, phase string, c *cluster, run func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			if _, err := s.take(ctx, phase, c); err != nil && ctx.Err() == nil {
				t.Errorf("sample %s: %v", phase, err)
				return
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	})
	defer group.Wait()
	defer cancel()
	run()
}

// once takes one sample, as soon as etcd holds still for the time that it takes.
func (s *sampler) once(t *testing.T, phase string, c *cluster) {
	t.Helper()
	proctest.Eventually(t, 30*time.Second, "etcd holds still for a sample", func() error {
		taken, err := s.take(t.Context(), phase, c)
		if err == nil && !taken {
			err = context.DeadlineExceeded
		}
		return err
	})
}

// Patroni closes the connection after each answer, so none is kept.
var restClient = http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// ask sends a request to the node's REST API; the body is JSON or empty.
func (n *node) ask(ctx context.Context, method, path, body string) answer {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+proctest.Loopback(n.REST)+path, strings.NewReader(body))
	if err != nil {
		return answer{}
	}
	resp, err := restClient.Do(req)
	if err != nil {
		return answer{}
	}
	defer resp.Body.Close()
	got := answer{}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}
	}
	// Not every answer is an object; those that matter here are.
	_ = json.Unmarshal(text, &got)
	got.Code = resp.StatusCode
	return got
}

// configure changes the dynamic configuration of the cluster.
func (c *cluster) configure(t *testing.T, patch string) {
	t.Helper()
	if got := c.nodes[0].ask(t.Context(), http.MethodPatch, "/config", patch); !got.yes() {
		t.Fatalf("PATCH /config %s: status %d", patch, got.Code)
	}
}

// handOver asks for a switchover to a candidate and returns when Patroni says that it
// took place.
func (c *cluster) handOver(t *testing.T, from, to *node) {
	t.Helper()
	body := `{"leader":"` + from.Name + `","candidate":"` + to.Name + `"}`
	if got := from.ask(t.Context(), http.MethodPost, "/switchover", body); !got.yes() {
		t.Fatalf("POST /switchover %s: status %d", body, got.Code)
	}
}

// other returns a node that is none of those given.
func (c *cluster) other(not ...*node) *node {
	for _, n := range c.nodes {
		skip := false
		for _, m := range not {
			skip = skip || n == m
		}
		if !skip {
			return n
		}
	}
	return nil
}
