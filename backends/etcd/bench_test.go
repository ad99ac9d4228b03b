package etcd

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"pc4patroni/backends"
	"pc4patroni/backends/etcd/etcdtest"
)

// BenchmarkEvent measures from a put until its event is in the hands of sink, beside
// a bare watcher of clientv3 on the same server as the yardstick.
func BenchmarkEvent(b *testing.B) {
	for _, ranges := range []int{0, 1, 2, 1000} {
		name := fmt.Sprintf("ranges=%d", ranges)
		if ranges == 0 {
			name = "clientv3"
		}
		b.Run(name, func(b *testing.B) { benchmarkEvent(b, ranges) })
	}
}

func benchmarkEvent(b *testing.B, ranges int) {
	s := etcdtest.Start(b)
	var paths []string
	for i := range max(ranges, 1) {
		paths = append(paths, fmt.Sprintf("/service/c%04d/", i))
	}
	s.Put(paths[0]+"leader", "x")
	arrived := make(chan time.Time, 1)
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	ended := make(chan struct{})
	if ranges == 0 {
		c, err := clientv3.New(clientv3.Config{Endpoints: []string{s.URL()}, Logger: zap.NewNop()})
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		watch := c.Watch(ctx, paths[0], clientv3.WithPrefix(), clientv3.WithCreatedNotify())
		<-watch
		go func() {
			defer close(ended)
			for range watch {
				arrived <- time.Now()
			}
		}()
	} else {
		c := newClient(b, Config{Nodes: []string{s.URL()}})
		ready := make(chan struct{}, 1)
		go func() {
			defer close(ended)
			c.Watch(ctx, from("", paths...), 0, func(updates []backends.Update) error {
				if len(updates) == 0 {
					select {
					case ready <- struct{}{}:
					default:
					}
				} else if updates[0].Keys == nil {
					arrived <- time.Now()
				}
				return nil
			})
		}()
		<-ready
	}
	var took []time.Duration
	for b.Loop() {
		started := time.Now()
		s.Put(paths[0]+"leader", "x")
		took = append(took, (<-arrived).Sub(started))
	}
	cancel()
	<-ended
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// BenchmarkLoad connects and reads, as -onetime does.
func BenchmarkLoad(b *testing.B) {
	for _, clusters := range []int{1, 1000} {
		b.Run(fmt.Sprintf("clusters=%d", clusters), func(b *testing.B) {
			s := etcdtest.Start(b)
			var paths []string
			for i := range clusters {
				p := fmt.Sprintf("/service/c%04d/", i)
				paths = append(paths, p)
				putMany(b, s, p, 6)
			}
			for b.Loop() {
				c := newClient(b, Config{Nodes: []string{s.URL()}})
				if keys, _ := load(b, c, paths...); len(keys) != 6*clusters {
					b.Fatalf("%d keys", len(keys))
				}
				c.Close()
			}
		})
	}
}
