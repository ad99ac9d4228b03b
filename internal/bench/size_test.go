package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pc4patroni/backends/etcd/etcdtest"

	"pc4patroni/internal/proctest"
)

// BenchmarkOnetime measures the whole program with -onetime: with one resource, and with
// 1,000 of which each has a file to install and a reload command of its own, against as
// many bare forks of /bin/sh, two at a time.
func BenchmarkOnetime(b *testing.B) {
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprintf("%d resources", n), func(b *testing.B) {
			clusters := clusterNames(n)
			c := &contest{b: b, server: etcdtest.Start(b), members: usualMembers}
			c.etcd = proctest.DialEtcd(b, c.server.URL())
			h := proctest.NewHost(b, c.etcd, c.server.URL())
			c.populate(h, clusters)
			argv := append(h.Argv(), "-onetime", "-log-level", "warn")
			var program, forks time.Duration
			for b.Loop() {
				for _, name := range clusters {
					if err := os.Remove(h.Dest(name)); err != nil && !os.IsNotExist(err) {
						b.Fatal(err)
					}
				}
				began := time.Now()
				if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
					b.Fatalf("%v\n%s", err, out)
				}
				program += time.Since(began)
				began = time.Now()
				forkAll(b, n)
				forks += time.Since(began)
			}
			b.ReportMetric(0, "ns/op") // of both
			b.ReportMetric(float64(program.Microseconds())/1000/float64(b.N), "program-ms")
			b.ReportMetric(float64(forks.Microseconds())/1000/float64(b.N), "forks-ms")
			b.ReportMetric(float64(program)/float64(forks), "ratio")
		})
	}
}

// forkAll runs /bin/sh so many times, two at a time.
func forkAll(b *testing.B, n int) {
	b.Helper()
	left := make(chan int)
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			for i := range left {
				if err := exec.Command("/bin/sh", "-c", fmt.Sprintf("true c%04d", i)).Run(); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := range n {
		left <- i
	}
	close(left)
	both.Wait()
}

// BenchmarkMemory measures the resident memory of the daemon after its first pass and a
// heartbeat or two of every cluster, and the size of the program. It needs no more than -benchtime=1x.
func BenchmarkMemory(b *testing.B) {
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprintf("%d clusters", n), func(b *testing.B) {
			for b.Loop() {
				clusters := clusterNames(n)
				c := &contest{b: b, server: etcdtest.Start(b), members: usualMembers}
				c.etcd = proctest.DialEtcd(b, c.server.URL())
				h := proctest.NewHost(b, c.etcd, c.server.URL())
				c.populate(h, clusters)
				h.Start()
				h.AwaitLog("msg=reloaded", n)
				stop := c.beat(clusters, beatEvery)
				proctest.Pause(b.Context(), beatEvery+2*time.Second)
				stop()
				pid := h.Run.Cmd.Process.Pid
				b.ReportMetric(float64(proctest.Held(b, pid).Resident)/(1<<20), "resident-MiB")
				b.ReportMetric(float64(peak(b, pid))/(1<<20), "peak-MiB")
				h.Stop()
			}
			b.ReportMetric(0, "ns/op")
		})
	}
	b.Run("stripped binary", func(b *testing.B) {
		path := filepath.Join(b.TempDir(), "pc4patroni")
		for b.Loop() {
			cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "pc4patroni/cmd/pc4patroni")
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := cmd.CombinedOutput(); err != nil {
				b.Fatalf("go build: %v\n%s", err, out)
			}
		}
		info, err := os.Stat(path)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(float64(info.Size())/1e6, "MB")
	})
}

// peak is the most memory that the process ever had resident, in bytes.
func peak(b *testing.B, pid int) int {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Skip(err)
	}
	_, rest, _ := strings.Cut(string(status), "\nVmHWM:")
	kib := 0
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		b.Fatal(err)
	}
	return kib << 10
}
