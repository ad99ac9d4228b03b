package faults

import (
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"pc4patroni/internal/proctest"
)

var (
	chaosFor    = flag.Duration("chaos", 20*time.Second, "how long TestChaos has things go wrong")
	chaosQuiet  = flag.Duration("chaos-quiet", 5*time.Second, "how long everything must stay right afterwards")
	chaosClock  = flag.Bool("chaos-clock", false, "TestChaos sets the program's wall clock too; it is then built without the race detector")
	chaosSecure = flag.Bool("chaos-secure", false, "the etcd of TestChaos has TLS, users and passwords")
	chaosSeed   = flag.Uint64("chaos-seed", 0, "the seed of TestChaos; 0 is a random one")
)

// TestChaos has things go wrong around the built program and three real etcd nodes while
// two clusters change, in an order that a seed makes: nodes are killed, frozen, cut off
// from each other or from the clients, all at once too, compacted, restored from a backup; the
// disk fills up or is read-only, the reload command fails, the program is killed,
// frozen, stopped and sent SIGHUP. A reader of the files must never see half of one.
// Afterwards everything has to be right within a minute and to stay so, without a reload.
//
//	go test ./internal/faults -run TestChaos -chaos 1h -chaos-quiet 10m -timeout 0
func TestChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers: not with -short")
	}
	if !inNamespaces(t) {
		return
	}
	seed := *chaosSeed
	if seed == 0 {
		seed = uint64(rand.Uint32())
	}
	t.Logf("-chaos-seed %d", seed)
	c := &chaos{t: t, random: rand.New(rand.NewPCG(seed, 0)), cluster: startChaosCluster(t, *chaosSecure), counts: map[string]int{}}
	client, err := c.cluster.dial()
	if err != nil {
		t.Fatal(err)
	}
	c.etcd.Store(client)
	defer func() { c.etcd.Load().Close() }()
	c.host = newHost(t, nil, c.cluster.urls()...)
	mount(t, "tmpfs", c.host.Out, "tmpfs", 0, "size=256k")
	if *chaosClock {
		c.clock = proctest.NewClock(t)
		c.host.Program = c.clock.Program
	}
	c.declare()
	c.writers = make([]chaosWriter, 2)
	for i := range c.writers {
		c.writers[i] = chaosWriter{name: string(rune('a' + i)), leader: "db1"}
		c.write(&c.writers[i], rand.New(rand.NewPCG(seed, uint64(i)+1)))
	}
	if !c.cluster.snapshot(c.cluster.members[0]) {
		t.Fatal("no backup of etcd")
	}
	c.launch()

	defer c.report()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var background sync.WaitGroup
	for i := range c.writers {
		background.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(i)+10))
			for ctx.Err() == nil {
				c.write(&c.writers[i], random)
				proctest.Pause(ctx, time.Duration(random.IntN(400))*time.Millisecond)
			}
		})
	}
	reading, stopReading := context.WithCancel(t.Context())
	defer stopReading()
	var reader sync.WaitGroup
	reader.Go(func() { c.read(reading) })
	for until := time.Now().Add(*chaosFor); time.Now().Before(until) && !t.Failed(); {
		c.happen(ctx)
	}
	cancel()
	background.Wait()
	c.cluster.awaitServing()
	for i := range c.writers { // a state that is certain
		w := &c.writers[i]
		proctest.Eventually(t, time.Minute, "the last state is written", func() error { return c.put(w) })
	}
	began := time.Now()
	proctest.Eventually(t, time.Minute, "everything is right", c.right)
	t.Logf("right %v after the last change", time.Since(began).Round(10*time.Millisecond))
	told := map[string]int{}
	for _, name := range chaosResources {
		told[name] = len(c.host.Told(name))
	}
	for until := time.Now().Add(*chaosQuiet); time.Now().Before(until); proctest.Pause(t.Context(), time.Second) {
		if err := c.right(); err != nil {
			t.Fatalf("it was right, and is no more: %v", err)
		}
	}
	for _, name := range chaosResources {
		if now := len(c.host.Told(name)); now != told[name] {
			t.Errorf("the proxy of %s was told %d times although nothing happened", name, now-told[name])
		}
	}
	stopReading()
	reader.Wait()
	c.host.Run.Signal(t, syscall.SIGTERM)
	c.host.Ended(0)
	c.host.Tidy()
	t.Logf("reloads %v", told)
}

// report tells what happened.
func (c *chaos) report() {
	for _, what := range slices.Sorted(maps.Keys(c.counts)) {
		c.t.Logf("%4d x %s", c.counts[what], what)
	}
	for _, w := range c.writers {
		c.t.Logf("cluster %s: %d writes acknowledged", w.name, w.written)
	}
	c.t.Logf("a reader found %d whole files", c.seen)
}

// chaos is one run.
type chaos struct {
	t       *testing.T
	random  *rand.Rand
	cluster *chaosCluster
	etcd    atomic.Pointer[clientv3.Client] // of the writers
	host    *host
	clock   *proctest.Clock // nil: it stays that of the machine
	port    int
	writers []chaosWriter
	counts  map[string]int // what happened, how often
	seen    int
}

// chaosWriter stands for the Patroni of a cluster. Each write is one transaction with a
// number that grows.
type chaosWriter struct {
	name, leader    string
	serial, written int
	moved           int // the last part of the address of db2
}

var chaosResources = []string{"a", "a2", "b", "all"}

// chaosTemplate is a page long, and says at both ends of which state it is.
const chaosTemplate = `{{getv "/serial"}}
{{with primary}}{{.Name}} {{.Addr}}{{end}}
{{range members}}{{.Name}} {{.Addr}}
{{end}}{{range seq 1 300}}{{getv "/serial"}}
{{end}}end {{getv "/serial"}}
`

const chaosAll = `{{getv "/a/serial"}}-{{getv "/b/serial"}}
a {{getv "/a/leader"}}
b {{getv "/b/leader"}}
{{range seq 1 300}}{{getv "/a/serial"}}-{{getv "/b/serial"}}
{{end}}end {{getv "/a/serial"}}-{{getv "/b/serial"}}
`

func (c *chaos) declare() {
	h := c.host
	for _, name := range chaosResources {
		d := proctest.Declared{Name: name, Prefix: h.Prefix + "/" + name[:1], Template: chaosTemplate, Extra: "reload_cmd_timeout = \"5s\"\ncheck_cmd = \"tail -n 1 {{.src}} | grep -q ^end\"\n"}
		if name == "all" {
			d.Prefix, d.Template = h.Prefix, chaosAll
		}
		if name == "b" {
			d.Extra += "keys = [\"/leader\", \"/members\", \"/serial\"]\n"
		}
		unit := strings.TrimSuffix(name, "2") // a and a2 share a reload
		d.Reload = fmt.Sprintf("test ! -e %s && for f in %s; do head -n 1 %s/$f.conf >>%s/$f.told; done", filepath.Join(h.Dir, "reloads-fail"),
			map[string]string{"a": "a a2", "b": "b", "all": "all"}[unit], h.Out, h.Dir)
		h.Declare(d)
	}
	c.port = proctest.FreePort(c.t)
}

func (c *chaos) launch() {
	c.host.Start(append(c.cluster.flags(), "-interval", "20s", "-listen", proctest.Loopback(c.port), "-log-level", "debug")...)
	c.host.Run.AwaitPort(c.t, c.port) // from then on it handles signals
}

// put writes the state of a cluster.
func (c *chaos) put(w *chaosWriter) error {
	ctx, cancel := context.WithTimeout(c.t.Context(), 3*time.Second)
	defer cancel()
	prefix := c.host.Prefix + "/" + w.name
	w.serial++
	_, err := c.etcd.Load().Txn(ctx).Then(
		clientv3.OpPut(prefix+"/initialize", "7000000000000000001"),
		clientv3.OpPut(prefix+"/members/db1", proctest.MemberAt("10.0.0.1", 1000)),
		clientv3.OpPut(prefix+"/members/db2", proctest.MemberAt(fmt.Sprintf("10.0.0.%d", 2+w.moved), 1000)),
		clientv3.OpPut(prefix+"/leader", w.leader),
		clientv3.OpPut(prefix+"/serial", fmt.Sprint(w.serial)),
	).Commit()
	if err == nil {
		w.written++
	} else if c.cluster.protected {
		c.login()
	}
	return err
}

// login connects the writers anew: etcd's own client may go on for ever with a token that a
// restored store does not know.
func (c *chaos) login() {
	if client, err := c.cluster.dial(); err == nil {
		c.etcd.Swap(client).Close()
	}
}

// write does one of the things that Patroni does. A write that fails may have been done.
func (c *chaos) write(w *chaosWriter, random *rand.Rand) {
	prefix := c.host.Prefix + "/" + w.name
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.t.Context()), 3*time.Second)
	defer cancel()
	switch n := random.IntN(20); {
	case n == 0:
		_, _ = c.etcd.Load().Delete(ctx, prefix+"/leader")
	case n < 4:
		w.leader = []string{"db1", "db2"}[random.IntN(2)]
		_ = c.put(w)
	case n < 6:
		w.moved = random.IntN(5)
		_ = c.put(w)
	case n < 9 || w.serial == 0:
		_ = c.put(w)
	default:
		_, _ = c.etcd.Load().Put(ctx, prefix+"/members/db1", proctest.MemberAt("10.0.0.1", random.IntN(100_000)))
	}
}

// read looks at the files as a proxy does that starts at that moment.
func (c *chaos) read(ctx context.Context) {
	for ; ctx.Err() == nil; proctest.Pause(ctx, 2*time.Millisecond) {
		for _, name := range chaosResources {
			data, err := os.ReadFile(c.host.Dest(name))
			if err != nil {
				continue // not there yet
			}
			text := string(data)
			serial, _, _ := strings.Cut(text, "\n")
			if !strings.HasSuffix(text, strings.Repeat(serial+"\n", 300)+"end "+serial+"\n") {
				c.t.Errorf("half a file, %s: %d bytes, the first line is %q", name, len(data), serial)
				return
			}
			c.seen++
		}
	}
}

// happen has one thing go wrong, or two at once, and mends it.
func (c *chaos) happen(ctx context.Context) {
	type event struct {
		name        string
		begin, mend func()
	}
	m := c.cluster.members[c.random.IntN(3)]
	all := func(f func(*chaosMember)) func() {
		return func() {
			for _, m := range c.cluster.members {
				f(m)
			}
		}
	}
	nothing := func() {}
	fill := filepath.Join(c.host.Out, "fill")
	flag := filepath.Join(c.host.Dir, "reloads-fail")
	ofEtcd := []event{
		{"etcd node killed", func() { c.cluster.kill(m) }, func() { c.cluster.start(m) }},
		{"etcd node frozen", func() { c.cluster.signal(m, syscall.SIGSTOP) }, func() { c.cluster.signal(m, syscall.SIGCONT) }},
		{"etcd node cut off from the others", func() { c.cluster.line(m, "peers", "down") }, func() { c.cluster.line(m, "peers", "up") }},
		{"etcd node cut off from its clients", func() { c.cluster.line(m, "clients", "down") }, func() { c.cluster.line(m, "clients", "up") }},
		{"all etcd nodes killed", all(c.cluster.kill), all(c.cluster.start)},
		{"all etcd nodes frozen", all(func(m *chaosMember) { c.cluster.signal(m, syscall.SIGSTOP) }), all(func(m *chaosMember) { c.cluster.signal(m, syscall.SIGCONT) })},
		{"all lines to the clients cut", all(func(m *chaosMember) { c.cluster.line(m, "clients", "down") }), all(func(m *chaosMember) { c.cluster.line(m, "clients", "up") })},
		{"compaction", c.compact, nothing},
		{"backup of etcd", func() { c.cluster.snapshot(m) }, nothing},
		{"etcd restored from a backup", c.cluster.restore, nothing},
	}
	ofHost := []event{
		{"disk full", func() { _ = os.WriteFile(fill, make([]byte, 512<<10), 0o644) }, func() { os.Remove(fill) }},
		{"disk read-only", func() { c.readOnly(syscall.MS_RDONLY) }, func() { c.readOnly(0) }},
		{"reloads fail", func() { proctest.Write(c.t, "", flag) }, func() { os.Remove(flag) }},
		{"program killed", func() { c.host.Kill() }, c.launch},
		{"program frozen", func() { c.host.Run.Signal(c.t, syscall.SIGSTOP) }, func() { c.host.Run.Signal(c.t, syscall.SIGCONT) }},
		{"program stopped", func() { c.host.Run.Signal(c.t, syscall.SIGTERM); c.host.Ended(0) }, c.launch},
		{"program sent SIGHUP", func() { c.host.Run.Signal(c.t, syscall.SIGHUP) }, nothing},
		{"file edited", c.edit, nothing},
		{"file removed", func() { os.Remove(c.host.Dest("b")) }, nothing},
	}
	if c.clock != nil {
		ofHost = append(ofHost, event{"clock set", func() { c.clock.Step(c.t, time.Duration(c.random.IntN(200_000)-100_000)*time.Second) }, nothing})
	}
	var events []event
	switch c.random.IntN(3) {
	case 0:
		events = []event{ofEtcd[c.random.IntN(len(ofEtcd))]}
	case 1:
		events = []event{ofHost[c.random.IntN(len(ofHost))]}
	default:
		events = []event{ofEtcd[c.random.IntN(len(ofEtcd))], ofHost[c.random.IntN(len(ofHost))]}
	}
	pause := func(most int) { proctest.Pause(ctx, time.Duration(c.random.IntN(most))*time.Millisecond) }
	for _, e := range events {
		c.counts[e.name]++
		e.begin()
		pause(300)
	}
	if c.random.IntN(4) == 0 {
		pause(30_000) // longer than keepalives, leases and retries
	} else {
		pause(3_000)
	}
	for _, e := range slices.Backward(events) {
		e.mend()
		pause(300)
	}
	pause(3_000)
}

// readOnly remounts the file system, which is not possible while a file is being written.
func (c *chaos) readOnly(flag uintptr) {
	proctest.Eventually(c.t, proctest.LongEnough, "the file system is remounted", func() error {
		return syscall.Mount("tmpfs", c.host.Out, "tmpfs", syscall.MS_REMOUNT|flag, "")
	})
}

// edit changes a file by hand, as an editor does: a reader finds the old one or the new one.
func (c *chaos) edit() {
	edited := filepath.Join(c.host.Out, "edited")
	if err := os.WriteFile(edited, []byte("0\n"+strings.Repeat("0\n", 300)+"end 0\n"), 0o644); err == nil {
		_ = os.Rename(edited, c.host.Dest("a2"))
	}
	os.Remove(edited)
}

func (c *chaos) compact() {
	ctx, cancel := context.WithTimeout(c.t.Context(), 3*time.Second)
	defer cancel()
	if resp, err := c.etcd.Load().Get(ctx, "/"); err == nil {
		_, _ = c.etcd.Load().Compact(ctx, resp.Header.Revision)
	}
}

// right tells what is not as it should be.
func (c *chaos) right() error {
	if err := c.host.Run.Running(); err != nil {
		return err
	}
	a, b := c.writers[0], c.writers[1]
	want := map[string]string{}
	for name, w := range map[string]chaosWriter{"a": a, "a2": a, "b": b} {
		address := map[string]string{"db1": "10.0.0.1", "db2": fmt.Sprintf("10.0.0.%d", 2+w.moved)}
		want[name] = fmt.Sprintf("%d\n%s %s:5432\ndb1 %s:5432\ndb2 %s:5432\n", w.serial, w.leader, address[w.leader], address["db1"], address["db2"])
	}
	want["all"] = fmt.Sprintf("%d-%d\na %s\nb %s\n", a.serial, b.serial, a.leader, b.leader)
	for _, name := range chaosResources {
		data, err := os.ReadFile(c.host.Dest(name))
		if err != nil {
			return err
		}
		serial, _, _ := strings.Cut(want[name], "\n")
		if !strings.HasPrefix(string(data), want[name]) {
			return fmt.Errorf("%s holds %.100q, want %q", name, data, want[name])
		}
		if told := c.host.Told(name); told[len(told)-1] != serial {
			return fmt.Errorf("the proxy of %s was told %q last, want %q", name, told[len(told)-1], serial)
		}
	}
	if litter := c.host.Litter(); len(litter) > 0 {
		return fmt.Errorf("%q is left", litter)
	}
	resp, err := http.Get("http://" + proctest.Loopback(c.port) + "/metrics")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	for _, metric := range []string{"pc4patroni_resource_in_sync", "pc4patroni_backend_up", "pc4patroni_reload_pending", "pc4patroni_resource_held"} {
		n := 0
		for line := range strings.Lines(string(text)) {
			if !strings.HasPrefix(line, metric) {
				continue
			}
			n++
			value := " 0\n"
			if strings.Contains(metric, "in_sync") || strings.Contains(metric, "_up") {
				value = " 1\n"
			}
			if !strings.HasSuffix(line, value) {
				return fmt.Errorf("the metrics say %s", line)
			}
		}
		if n == 0 {
			return fmt.Errorf("the metrics lack %s", metric)
		}
	}
	return nil
}
