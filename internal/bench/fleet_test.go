package bench

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"pc4patroni/backends"
	"pc4patroni/backends/etcd"
	"pc4patroni/resource"
	"pc4patroni/resource/engine"

	"pc4patroni/internal/proctest"
)

var (
	fleetAgents = flag.Int("agents", 100, "the number of agents of BenchmarkFleet")
	fleetWindow = flag.Duration("window", 20*time.Second, "how long BenchmarkFleet counts, idle and after a restart of etcd")
)

const (
	fleetInterval = time.Minute            // the program's default
	etcdAway      = 3 * time.Second        // how long etcd is stopped
	samplePause   = 200 * time.Millisecond // between two looks at etcd's counters
	// fleetReturn is within how long every agent should be back after a restart; the
	// full reads of the interval come later.
	fleetReturn = 10 * time.Second
	// fleetPatience bounds the wait for the last agent.
	fleetPatience = 2 * time.Minute
	failovers     = 5
)

// BenchmarkFleet measures what many agents, each an engine with a connection of its own, ask of
// one etcd, and how soon the last of them acts upon a change. One run, -benchtime=1x, is enough.
func BenchmarkFleet(b *testing.B) {
	b.Run("direct", func(b *testing.B) {
		f := newFleet(b)
		f.node = f.etcdURL
		f.measure()
	})
	b.Run("grpc-proxy", func(b *testing.B) {
		f := newFleet(b)
		f.startProxy()
		f.measure()
	})
}

// A fleet is many agents in this process and one etcd in another.
type fleet struct {
	b             *testing.B
	dir           string
	etcdURL, peer string
	etcd          *proctest.Server
	proxy         *proctest.Server // nil without one
	node          string           // what the agents connect to
	client        *clientv3.Client // of the benchmark
	installs      chan install
	table         strings.Builder
}

// install is a file that an agent has put in place.
type install struct {
	agent   int
	at      time.Time
	content string
}

// newFleet starts etcd, with default settings, and gives it a cluster.
func newFleet(b *testing.B) *fleet {
	b.Helper()
	proctest.Need(b, "etcd")
	allowDescriptors(b, *fleetAgents+1000)
	f := &fleet{b: b, dir: proctest.WorkDir(b), installs: make(chan install, 100**fleetAgents),
		etcdURL: "http://" + proctest.Loopback(proctest.FreePort(b)), peer: "http://" + proctest.Loopback(proctest.FreePort(b))}
	f.startEtcd()
	f.awaitEtcd()
	f.client = proctest.DialEtcd(b, f.etcdURL)
	f.heart().heartbeat("batman", 0)
	f.lead("db1")
	return f
}

// allowDescriptors raises the limit of open files, for the processes that are started, too.
func allowDescriptors(b *testing.B, n int) {
	b.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		b.Fatal(err)
	}
	if limit.Max < uint64(n) {
		b.Fatalf("%d agents need %d open files, the limit is %d: raise it with ulimit -Hn", *fleetAgents, n, limit.Max)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		b.Fatal(err)
	}
}

func (f *fleet) startEtcd() {
	f.b.Helper()
	f.etcd = proctest.Launch(f.b, f.dir, "etcd", proctest.Account{}, nil, "etcd", "--data-dir", filepath.Join(f.dir, "data"),
		"--listen-client-urls", f.etcdURL, "--advertise-client-urls", f.etcdURL,
		"--listen-peer-urls", f.peer, "--initial-advertise-peer-urls", f.peer, "--initial-cluster", "default="+f.peer)
	f.etcd.StopWith = []syscall.Signal{syscall.SIGKILL} // as in a crash
}

// awaitEtcd waits until etcd serves.
func (f *fleet) awaitEtcd() {
	f.b.Helper()
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for until := time.Now().Add(fleetPatience); time.Now().Before(until); proctest.Pause(f.b.Context(), 5*time.Millisecond) {
		if resp, err := client.Get(f.etcdURL + "/health"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
	}
	f.b.Fatalf("etcd does not serve:\n%s", proctest.Tail(f.etcd.Log, 30))
}

// startProxy has the agents connect to a grpc-proxy.
func (f *fleet) startProxy() {
	f.b.Helper()
	port := proctest.FreePort(f.b)
	addr := proctest.Loopback(port)
	f.node = "http://" + addr
	f.proxy = proctest.Launch(f.b, f.dir, "grpc-proxy", proctest.Account{}, nil, "etcd", "grpc-proxy", "start",
		"--endpoints", f.etcdURL, "--listen-addr", addr, "--advertise-client-url", addr, "--data-dir", filepath.Join(f.dir, "proxy"))
	f.proxy.AwaitPort(f.b, port)
}

// heart writes what Patroni writes.
func (f *fleet) heart() *contest {
	return &contest{b: f.b, etcd: f.client, members: usualMembers}
}

// lead makes a member the leader.
func (f *fleet) lead(member string) {
	f.b.Helper()
	if _, err := f.client.Put(f.b.Context(), "/service/batman/leader", member); err != nil {
		f.b.Fatal(err)
	}
}

// measure starts the agents and measures everything in turn.
func (f *fleet) measure() {
	for f.b.Loop() {
		before := f.counters()
		debug.FreeOSMemory() // what an earlier fleet has left
		empty := proctest.Held(f.b, os.Getpid()).Resident
		began := time.Now()
		f.startAgents()
		f.await("db1", began, "start")
		proctest.Pause(f.b.Context(), 3*time.Second)
		f.holds(before, empty)
		f.failover() // first: the regular reads begin 45 s after the start, and are none of its own
		f.idle()
		f.restart()
	}
	f.b.ReportMetric(0, "ns/op")
	// A log of a benchmark is cut after ten lines.
	fmt.Printf("\n%s, %d agents\n%s", f.b.Name(), *fleetAgents, f.table.String())
}

// startAgents starts the agents; they end with the benchmark.
func (f *fleet) startAgents() {
	f.b.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	f.b.Cleanup(func() {
		stop()
		running.Wait()
	})
	for i := range *fleetAgents {
		dir := filepath.Join(f.dir, strconv.Itoa(i))
		proctest.Write(f.b, "{{getv \"/leader\"}}\n", dir, "templates", "line.tmpl")
		proctest.Write(f.b, fmt.Sprintf("[template]\nprefix = \"/service/batman\"\nsrc = \"line.tmpl\"\ndest = %q\n%s\n", f.dest(i), twoKeys), dir, "conf.d", "line.toml")
		set, err := resource.Load(resource.Options{ConfDir: dir})
		if err != nil || len(set.Broken) > 0 {
			f.b.Fatal(err, set)
		}
		e := engine.New(engine.Options{
			Interval: fleetInterval, Watch: true,
			Open: func(string) (backends.Backend, error) {
				return etcd.New(etcd.Config{Nodes: []string{f.node}})
			},
			Observe: func(ev engine.Event) {
				if ev.Kind == engine.Installed {
					f.installs <- install{i, ev.Time, string(ev.After)}
				}
			},
		})
		running.Go(func() {
			if err := e.Run(ctx, context.Background(), set); err != nil {
				f.b.Error(err)
			}
		})
	}
}

func (f *fleet) dest(agent int) string { return filepath.Join(f.dir, strconv.Itoa(agent), "line.conf") }

// await waits until the file of every agent names the leader, reports how long that took
// since a time, and returns it.
func (f *fleet) await(leader string, since time.Time, name string) []time.Duration {
	f.b.Helper()
	took := map[int]time.Duration{}
	patience := time.After(fleetPatience)
	for len(took) < *fleetAgents {
		select {
		case in := <-f.installs:
			if _, twice := took[in.agent]; !twice && in.content == leader+"\n" && in.at.After(since) {
				took[in.agent] = in.at.Sub(since)
			}
		case <-patience:
			f.b.Fatalf("%s: only %d of %d agents have acted upon the change", name, len(took), *fleetAgents)
		}
	}
	var all []time.Duration
	for i, d := range took {
		all = append(all, d)
		if content := proctest.Read(f.b, f.dest(i)); content != leader+"\n" {
			f.b.Errorf("the file of agent %d holds %q, not the leader %s", i, content, leader)
		}
	}
	return all
}

// tell reports a figure.
func (f *fleet) tell(metric string, value float64, words string) {
	f.b.ReportMetric(value, metric)
	fmt.Fprintf(&f.table, "  %-62s %12.4g\n", words, value)
}

// tellTimes reports how long the agents took.
func (f *fleet) tellTimes(name string, took []time.Duration, words string) {
	for _, q := range []struct {
		name  string
		share float64
	}{{"first", 0}, {"median", 0.5}, {"p99", 0.99}, {"last", 1}} {
		f.tell(name+"-"+q.name+"-ms", float64(quantile(took, q.share).Microseconds())/1000, words+", "+q.name+", ms")
	}
}

// counters are etcd's metrics, by series.
type counters map[string]float64

// readSeries are the two kinds of reads, as series of etcd.
const (
	rangeSeries = `grpc_server_started_total{grpc_method="Range",grpc_service="etcdserverpb.KV",grpc_type="unary"}`
	txnSeries   = `grpc_server_started_total{grpc_method="Txn",grpc_service="etcdserverpb.KV",grpc_type="unary"}`
)

func (c counters) reads() float64 { return c[rangeSeries] + c[txnSeries] }

func (f *fleet) counters() counters {
	f.b.Helper()
	c, err := scrape(http.DefaultClient, f.etcdURL)
	if err != nil {
		f.b.Fatal(err)
	}
	return c
}

func scrape(client *http.Client, url string) (counters, error) {
	resp, err := client.Get(url + "/metrics")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	c := counters{}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if series, value, ok := strings.Cut(lines.Text(), " "); ok && series != "#" {
			if c[series], err = strconv.ParseFloat(value, 64); err != nil {
				return nil, err
			}
		}
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return c, lines.Err()
}

// servers are the processes that serve the agents.
func (f *fleet) servers() map[string]int {
	pids := map[string]int{"etcd": f.etcd.Cmd.Process.Pid}
	if f.proxy != nil {
		pids["proxy"] = f.proxy.Cmd.Process.Pid
	}
	return pids
}

// holds reports what etcd and the agents hold, above what they held without agents.
func (f *fleet) holds(before counters, empty int) {
	now, n := f.counters(), float64(*fleetAgents)
	f.tell("etcd-connections", now["process_open_fds"]-before["process_open_fds"], "connections to etcd")
	f.tell("etcd-watchers", now["etcd_debugging_mvcc_watcher_total"], "watchers in etcd")
	for name, pid := range f.servers() {
		held := proctest.Held(f.b, pid)
		f.tell(name+"-MiB", float64(held.Resident)/(1<<20), name+": resident memory, MiB")
		f.tell(name+"-descriptors", float64(held.Descriptors), name+": descriptors")
	}
	f.tell("etcd-KiB/agent", (now["process_resident_memory_bytes"]-before["process_resident_memory_bytes"])/1024/n, "etcd: resident memory per agent, KiB")
	f.tell("agent-KiB", float64(proctest.Held(f.b, os.Getpid()).Resident-empty)/1024/n, "agents: resident memory of each in the common process, KiB")
	f.tell("start-reads/agent", (now.reads()-before.reads())/n, "start: etcd reads per agent")
}

// idle reports what it costs that the cluster heartbeats.
func (f *fleet) idle() {
	pids := f.servers()
	pids["agents"] = os.Getpid()
	spent := map[string]time.Duration{}
	for name, pid := range pids {
		spent[name] = processorTime(f.b, pid)
	}
	before, began := f.counters(), time.Now()
	stop := f.heart().beat([]string{"batman"}, beatEvery)
	proctest.Pause(f.b.Context(), *fleetWindow)
	stop()
	now, took := f.counters(), time.Since(began)
	for name, pid := range pids {
		used := processorTime(f.b, pid) - spent[name]
		f.tell("idle-"+name+"-cpu-%", 100*float64(used)/float64(took), "idle: processor time of "+name+", %")
		f.tell("idle-"+name+"-cpu-µs/s/agent", float64(used.Microseconds())/took.Seconds()/float64(*fleetAgents), "idle: the same per agent, µs/s")
	}
	reads := (now.reads() - before.reads()) / took.Seconds()
	f.tell("idle-reads/s", reads, "idle: etcd reads per second")
	f.tell("idle-reads/min/agent", 60*reads/float64(*fleetAgents), "idle: etcd reads per minute and agent")
	f.tell("idle-sent-KiB/s", (now["etcd_network_client_grpc_sent_bytes_total"]-before["etcd_network_client_grpc_sent_bytes_total"])/1024/took.Seconds(), "idle: sent by etcd, KiB/s")
	f.tell("idle-events/s", (now["etcd_debugging_mvcc_events_total"]-before["etcd_debugging_mvcc_events_total"])/took.Seconds(), "idle: events sent by etcd per second")
}

// failover reports how long it takes from the put of the leader's key until the files are right.
func (f *fleet) failover() {
	f.b.Helper()
	var took []time.Duration
	reads := 0.0
	for i := range failovers {
		leader := []string{"db2", "db1"}[i%2]
		before, began := f.counters(), time.Now()
		f.lead(leader)
		took = append(took, f.await(leader, began, "failover")...)
		reads += f.counters().reads() - before.reads()
		proctest.Pause(f.b.Context(), time.Second)
	}
	f.tellTimes("failover", took, "failover: from the put to the file")
	f.tell("failover-reads", reads/failovers, "failover: etcd reads")
}

// restart reports how the agents come back after etcd was away.
func (f *fleet) restart() {
	f.b.Helper()
	f.etcd.Stop(f.b)
	proctest.Pause(f.b.Context(), etcdAway)
	f.startEtcd()
	f.awaitEtcd()
	returned := time.Now()
	stop := f.sample()
	f.client = proctest.DialEtcd(f.b, f.etcdURL) // the old one waits before it connects again
	f.lead("db3")
	took := f.await("db3", returned, "restart")
	proctest.Pause(f.b.Context(), time.Until(returned.Add(*fleetWindow)))
	var last sample // of an etcd that has just begun to count
	last.at = returned
	var soon, later struct{ peak, reads float64 }
	full := 0.0
	for _, s := range stop() {
		of := &soon
		if s.at.After(returned.Add(fleetReturn)) {
			of = &later
		}
		n := s.counters.reads() - last.counters.reads()
		of.reads += n
		of.peak = max(of.peak, n/max(s.at.Sub(last.at), samplePause).Seconds())
		full = s.counters[txnSeries]
		last = s
	}
	f.tellTimes("restart", took, "restart: from etcd's return to the file")
	f.tell("restart-peak-reads/s", soon.peak, fmt.Sprintf("restart: most etcd reads per second, in the first %v", fleetReturn))
	f.tell("restart-reads", soon.reads, fmt.Sprintf("restart: etcd reads in the first %v", fleetReturn))
	f.tell("restart-later-peak-reads/s", later.peak, fmt.Sprintf("restart: most etcd reads per second, from then to %v", *fleetWindow))
	f.tell("restart-later-reads", later.reads, fmt.Sprintf("restart: etcd reads from then to %v", *fleetWindow))
	f.tell("restart-full-reads", full, "restart: full reads among all of them")
}

// sample is what etcd's counters were at a time.
type sample struct {
	at       time.Time
	counters counters
}

// sample looks at etcd's counters again and again, until it is stopped.
func (f *fleet) sample() (stop func() []sample) {
	ctx, cancel := context.WithCancel(f.b.Context())
	var samples []sample
	var done sync.WaitGroup
	done.Go(func() {
		client := &http.Client{Timeout: 5 * time.Second}
		defer client.CloseIdleConnections()
		tick := time.NewTicker(samplePause)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			if c, err := scrape(client, f.etcdURL); err == nil {
				samples = append(samples, sample{time.Now(), c})
			}
		}
	})
	return func() []sample {
		cancel()
		done.Wait()
		return samples
	}
}
