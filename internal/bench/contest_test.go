package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sys/unix"

	"pc4patroni/backends/etcd/etcdtest"

	"pc4patroni/internal/proctest"
)

// A contest is the program and the yardstick beside each other: they follow one etcd, each
// with a leader key of its own that the other does not act upon, so that they are measured
// under the same load and never wait for each other.
type contest struct {
	b                  *testing.B
	host               *proctest.Host // of the program
	server             *etcdtest.Server
	etcd               *clientv3.Client
	program, yardstick *contestant
	members            int // of each cluster that heartbeats
}

// usualMembers is how many members a cluster has where nothing else is said.
const usualMembers = 3

// contestant is one of the two.
type contestant struct {
	pid     int
	leader  string   // its key
	started *os.File // each reload command writes a byte to it when it starts
	before  time.Duration
}

// programKeys and yardstickKeys are where the contestants' own clusters are; both follow
// all that lies below /service/.
const (
	programKeys   = "/service/batman"
	yardstickKeys = "/service/robin"
)

// twoKeys is what most resource files for Patroni name, those of its container image too.
const twoKeys = `keys = ["/leader", "/members"]`

// newContest starts both. The program has a resource for its own cluster and one for each
// of the clusters that are named, with a reload command each.
func newContest(b *testing.B, clusters []string, members int) *contest {
	b.Helper()
	c := &contest{b: b, server: etcdtest.Start(b), members: members}
	c.etcd = proctest.DialEtcd(b, c.server.URL())
	h := proctest.NewHost(b, c.etcd, c.server.URL())
	c.host = h
	for _, prefix := range []string{yardstickKeys, programKeys} {
		h.Prefix = prefix
		h.Put(proctest.Led("db1")...)
	}
	c.populate(h, clusters)
	h.Prefix = programKeys

	c.program = newContestant(b, h.Dir, programKeys)
	h.Declare(proctest.Declared{Name: "batman", Src: "line.tmpl", Reload: c.program.command(), Extra: twoKeys})
	h.Start("-interval", beatEvery.String())
	c.program.pid = h.Run.Cmd.Process.Pid
	c.program.await(b)
	h.AwaitLog("msg=reloaded", len(clusters)+1)

	c.yardstick = newContestant(b, h.Dir, yardstickKeys)
	c.yardstick.pid = startYardstick(b, h.Dir, c.server.URL(), yardstickKeys+"/leader", c.yardstick.command())
	return c
}

// populate gives each of the clusters its keys and a resource, all with one template.
func (c *contest) populate(h *proctest.Host, clusters []string) {
	for _, name := range clusters {
		h.Prefix = "/service/" + name
		c.heartbeat(name, 0)
		h.Put("/leader", "db1")
		h.Declare(proctest.Declared{Name: name, Src: "line.tmpl", Reload: "true " + name, Extra: twoKeys})
	}
}

func newContestant(b *testing.B, dir, prefix string) *contestant {
	b.Helper()
	path := filepath.Join(dir, filepath.Base(prefix)+".fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		b.Fatal(err)
	}
	// Open for both, so that opening does not wait for a command.
	fifo, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { fifo.Close() })
	return &contestant{leader: prefix + "/leader", started: fifo}
}

// command is the reload command: it says that it started.
func (c *contestant) command() string { return "echo >" + c.started.Name() }

// await waits until a reload command has started.
func (c *contestant) await(b *testing.B) {
	b.Helper()
	if err := c.started.SetReadDeadline(time.Now().Add(proctest.LongEnough)); err != nil {
		b.Fatal(err)
	}
	if _, err := c.started.Read(make([]byte, 1)); err != nil {
		b.Fatalf("no reload after the change of %s: %v", c.leader, err)
	}
}

// change changes the leader and returns how long it took until the command started.
func (c *contest) change(of *contestant, to string) time.Duration {
	c.b.Helper()
	began := time.Now()
	if _, err := c.etcd.Put(c.b.Context(), of.leader, to); err != nil {
		c.b.Fatal(err)
	}
	of.await(c.b)
	return time.Since(began)
}

// processorTime is what a process has used of the processors, without its children.
func processorTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	var used unix.Timespec
	clock := int32(^pid<<3 | 2) // as clock_getcpuclockid(3) makes it on Linux
	if err := unix.ClockGettime(clock, &used); err != nil {
		b.Skipf("the processor time of process %d: %v", pid, err)
	}
	return time.Duration(used.Nano())
}

// spent is what it has used since the last call.
func (c *contestant) spent(b *testing.B) time.Duration {
	b.Helper()
	now := processorTime(b, c.pid)
	defer func() { c.before = now }()
	return now - c.before
}

var buildYardstick = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "pc4p-yard-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "yardstick")
	cmd := exec.Command("go", "build", "-o", path, "./testdata/yardstick")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w\n%s", err, out)
	}
	return os.ReadFile(path)
})

// startYardstick starts the yardstick, has it follow /service/, and returns its process.
func startYardstick(b *testing.B, dir, url, leader, command string) (pid int) {
	b.Helper()
	program, err := buildYardstick()
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(dir, "yardstick")
	if err := os.WriteFile(path, program, 0o755); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(path, url, "/service/", leader, filepath.Join(dir, "out", "yardstick.conf"), command)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		stdin.Close()
		_ = cmd.Wait() // it ends with an error of its watch or without, both in good order
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "ready\n" {
		b.Fatalf("yardstick said %q, %v", line, err)
	}
	return cmd.Process.Pid
}

// heartbeat writes what Patroni writes in each turn of its loop when nothing happens.
func (c *contest) heartbeat(cluster string, turn int) {
	prefix := "/service/" + cluster
	for i := range c.members {
		name := fmt.Sprintf("db%d", i+1)
		value := proctest.MemberAt(fmt.Sprintf("10.0.0.%d", i+1), 1_000_000+turn)
		if _, err := c.etcd.Put(c.b.Context(), prefix+"/members/"+name, value); err != nil {
			c.b.Errorf("heartbeat: %v", err)
			return
		}
	}
	if _, err := c.etcd.Put(c.b.Context(), prefix+"/status", fmt.Sprintf(`{"optime":%d}`, 1_000_000+turn)); err != nil {
		c.b.Errorf("heartbeat: %v", err)
	}
}

// beat has all clusters heartbeat, each once per period and evenly spread, until it is
// stopped; then it returns how many heartbeats there were.
func (c *contest) beat(clusters []string, period time.Duration) (stop func() int) {
	ctx, cancel := context.WithCancel(c.b.Context())
	var beats atomic.Int64
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(period / time.Duration(len(clusters)))
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			c.heartbeat(clusters[n%len(clusters)], 1+n/len(clusters))
			beats.Add(1)
		}
	})
	return func() int {
		cancel()
		done.Wait()
		return int(beats.Load())
	}
}

// reads returns how many requests for keys etcd has served: ranges and transactions.
func (c *contest) reads() int {
	c.b.Helper()
	resp, err := http.Get(c.server.URL() + "/metrics")
	if err != nil {
		c.b.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.b.Fatal(err)
	}
	sum, found := 0, 0
	for line := range strings.Lines(string(text)) {
		for _, method := range []string{"Range", "Txn"} {
			name := fmt.Sprintf(`grpc_server_started_total{grpc_method="%s",grpc_service="etcdserverpb.KV",grpc_type="unary"} `, method)
			if rest, ok := strings.CutPrefix(line, name); ok {
				n, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
				if err != nil {
					c.b.Fatal(err)
				}
				sum += int(n)
				found++
			}
		}
	}
	if found != 2 {
		c.b.Fatalf("etcd's metrics hold %d of the 2 counters", found)
	}
	return sum
}

// resyncs returns how often the program lost track and read everything again, which a
// machine that is too busy may bring about. Those are the only reads there should be.
func (c *contest) resyncs() int {
	return strings.Count(c.host.Log(), "backend cannot be read")
}

// clusterNames names so many clusters.
func clusterNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("c%04d", i)
	}
	return names
}

// quantile returns the value below which the share q of all values lies.
func quantile(values []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// reportRatio reports what the program and the yardstick took, and how they compare.
func reportRatio(b *testing.B, name string, program, yardstick time.Duration) {
	b.ReportMetric(float64(program.Microseconds())/1000, name+"-ms")
	b.ReportMetric(float64(yardstick.Microseconds())/1000, name+"-yardstick-ms")
	b.ReportMetric(float64(program)/float64(yardstick), name+"-ratio")
}
