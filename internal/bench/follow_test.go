package bench

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pc4patroni/internal/proctest"
)

// beatEvery is Patroni's default loop_wait.
const beatEvery = 10 * time.Second

// BenchmarkLeaderChange measures from the put of a leader key to the start of the reload
// command, in the program and in the yardstick by turns. -benchtime=400x or more gives a p99;
// with 3000x the full reads of the interval happen a dozen times.
func BenchmarkLeaderChange(b *testing.B) {
	b.Run("idle", func(b *testing.B) {
		c := newContest(b, nil, usualMembers)
		c.race(b)
	})
	b.Run("1000 clusters heartbeating", func(b *testing.B) {
		clusters := clusterNames(1000)
		c := newContest(b, clusters, usualMembers)
		stop := c.beat(clusters, beatEvery)
		c.program.spent(b)
		c.yardstick.spent(b)
		began := time.Now()
		c.race(b)
		b.StopTimer()
		beats, took := stop(), time.Since(began)
		program, yardstick := c.program.spent(b), c.yardstick.spent(b)
		b.ReportMetric(float64(program)/float64(took)*100, "cpu-%")
		b.ReportMetric(float64(yardstick)/float64(took)*100, "cpu-yardstick-%")
		b.ReportMetric(float64(program)/float64(yardstick), "cpu-ratio")
		b.ReportMetric(float64(beats)/took.Seconds(), "heartbeats/s")
	})
}

// race has the leaders of the two contestants change by turns.
func (c *contest) race(b *testing.B) {
	var program, yardstick []time.Duration
	c.change(c.program, "db2")
	c.change(c.yardstick, "db2")
	leaders := []string{"db1", "db2"}
	for n := 0; b.Loop(); n++ {
		first, second := func() { program = append(program, c.change(c.program, leaders[n%2])) },
			func() { yardstick = append(yardstick, c.change(c.yardstick, leaders[n%2])) }
		if n/2%2 == 1 {
			first, second = second, first
		}
		for _, change := range []func(){first, second} {
			change()
			// What comes after the start of the command must not fall into the next
			// measurement, nor may the two fall into step with the heartbeats.
			proctest.Pause(b.Context(), 15*time.Millisecond+rand.N(10*time.Millisecond))
		}
	}
	b.ReportMetric(0, "ns/op") // of both, and of the pauses: it says nothing
	for _, q := range []struct {
		name  string
		share float64
	}{{"p50", 0.5}, {"p99", 0.99}} {
		reportRatio(b, q.name, quantile(program, q.share), quantile(yardstick, q.share))
	}
	slowest := slices.Max(program)
	b.ReportMetric(float64(slowest.Microseconds())/1000, "slowest-ms")
	b.ReportMetric(float64(slices.Max(yardstick).Microseconds())/1000, "slowest-yardstick-ms")
	b.ReportMetric(float64(slowest)/float64(quantile(program, 0.99)), "slowest/p99")
}

// BenchmarkHeartbeat measures what heartbeats cost while no leader changes: processor time
// of the program and of the yardstick, and the program's reads from etcd. One operation is
// one heartbeat, of four writes; of 1,000 clusters, -benchtime=3000x is half a minute.
func BenchmarkHeartbeat(b *testing.B) {
	clusters := clusterNames(1000)
	c := newContest(b, clusters, usualMembers)
	c.program.spent(b)
	c.yardstick.spent(b)
	reads := c.reads()
	n := 0
	tick := time.NewTicker(beatEvery / time.Duration(len(clusters)))
	defer tick.Stop()
	for ; b.Loop(); n++ {
		c.heartbeat(clusters[n%len(clusters)], 1+n/len(clusters))
		<-tick.C
	}
	// Positions in the write-ahead log may wait for a second.
	proctest.Pause(b.Context(), 1500*time.Millisecond)
	program, yardstick := c.program.spent(b), c.yardstick.spent(b)
	b.ReportMetric(0, "ns/op") // the pace is given
	b.ReportMetric(float64(program.Microseconds())/float64(n), "cpu-µs/heartbeat")
	b.ReportMetric(float64(yardstick.Microseconds())/float64(n), "cpu-yardstick-µs/heartbeat")
	b.ReportMetric(float64(program)/float64(yardstick), "cpu-ratio")
	b.ReportMetric(float64(c.reads()-reads)/float64(n), "reads/heartbeat")
	b.ReportMetric(float64(c.resyncs()), "resyncs")
}
