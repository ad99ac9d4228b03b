package bench

import (
	"fmt"
	"testing"
	"time"

	"pc4patroni/internal/proctest"
)

// writesPerSecond is how much all clusters together write at most. Many clusters heartbeat
// less often than Patroni has them, so that the machine measures the program and not etcd.
const writesPerSecond = 1000

// BenchmarkGrowth measures what the program costs as clusters and members become more:
// memory and processor time per heartbeat while no leader changes, then leader changes
// amid the heartbeats, as many as -benchtime says. internal/bench/plot draws the figures.
func BenchmarkGrowth(b *testing.B) {
	for _, size := range []struct{ clusters, members int }{
		{1, 3}, {10, 3}, {100, 3}, {1000, 3}, {5000, 3},
		{100, 10}, {100, 25}, {100, 50},
	} {
		b.Run(fmt.Sprintf("clusters=%d/members=%d", size.clusters, size.members), func(b *testing.B) {
			clusters := clusterNames(size.clusters)
			c := newContest(b, clusters, size.members)
			writes := size.clusters * (size.members + 1)
			period := max(beatEvery, time.Duration(writes)*time.Second/writesPerSecond)

			c.program.spent(b)
			c.yardstick.spent(b)
			const turns = 3
			stop := c.beat(clusters, period)
			proctest.Pause(b.Context(), turns*period+period/time.Duration(2*size.clusters))
			beats := stop()
			// Positions in the write-ahead log may wait for a second.
			proctest.Pause(b.Context(), 1500*time.Millisecond)
			program, yardstick := c.program.spent(b), c.yardstick.spent(b)
			memory, yardstickMemory := proctest.Held(b, c.program.pid).Resident, proctest.Held(b, c.yardstick.pid).Resident

			stop = c.beat(clusters, period)
			c.race(b)
			b.StopTimer()
			stop()
			// What the machine could keep up with.
			b.ReportMetric(period.Seconds()*float64(turns*size.clusters)/float64(beats), "period-s")
			b.ReportMetric(float64(memory)/(1<<20), "resident-MiB")
			b.ReportMetric(float64(yardstickMemory)/(1<<20), "resident-yardstick-MiB")
			reportRatio(b, "cpu/heartbeat", program/time.Duration(beats), yardstick/time.Duration(beats))
			b.ReportMetric(float64(c.resyncs()), "resyncs")
		})
	}
}
