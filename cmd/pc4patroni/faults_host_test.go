package main_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// longEnough bounds whatever should take a moment, on a machine with other things to do.
const longEnough = 30 * time.Second

// underTest is the program as these tests run it: like them with the race detector or
// without. The last test that uses it removes it.
var underTest struct {
	sync.Mutex
	dir   string
	users int
}

// raceDetected tells whether this test binary was built with -race.
func raceDetected() bool {
	info, _ := debug.ReadBuildInfo()
	return info != nil && slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool {
		return s.Key == "-race" && s.Value == "true"
	})
}

// builtLikeTest returns the path of the program.
func builtLikeTest(t testing.TB) string {
	t.Helper()
	u := &underTest
	u.Lock()
	defer u.Unlock()
	if u.users == 0 {
		var err error
		if u.dir, err = os.MkdirTemp("", "pc4p-bin-"); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("go", "build", "-o", u.dir, ".")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if raceDetected() {
			cmd.Args = slices.Insert(cmd.Args, 2, "-race")
			cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
		// Some tests run it as another user.
		if err := os.Chmod(u.dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	u.users++
	t.Cleanup(func() {
		u.Lock()
		defer u.Unlock()
		if u.users--; u.users == 0 {
			if err := os.RemoveAll(u.dir); err != nil {
				t.Error(err)
			}
		}
	})
	return filepath.Join(u.dir, "pc4patroni")
}

// A host is what runs beside a proxy: the program with its configuration, the files that
// it keeps true in a directory of their own, and a log of what the proxy was told.
type host struct {
	t       testing.TB
	program string
	dir     string // conf.d, templates, and what reload commands write
	out     string // every dest
	prefix  string // in etcd
	nodes   []string
	etcd    *clientv3.Client // the test's own connection
	run     *server          // nil before start
}

// newHost returns a host whose program will talk to the nodes.
func newHost(t testing.TB, etcd *clientv3.Client, nodes ...string) *host {
	t.Helper()
	dir := workDir(t)
	h := &host{t: t, program: builtLikeTest(t), dir: dir, out: filepath.Join(dir, "out"), etcd: etcd, nodes: nodes,
		prefix: "/service/" + filepath.Base(dir)}
	if err := os.Mkdir(h.out, 0o755); err != nil {
		t.Fatal(err)
	}
	return h
}

// dialEtcd is a connection of the test's own to a server that asks for nothing.
func dialEtcd(t testing.TB, urls ...string) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: urls, DialTimeout: longEnough, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// declared is a resource. What is left empty gets a default that most cases need.
type declared struct {
	name     string
	prefix   string // that of the host
	template string // lineTemplate
	src      string // NAME.tmpl
	dest     string // NAME.conf among the dests
	reload   string // records what the proxy was told in NAME.told; "none" is none
	extra    string // further lines
}

// lineTemplate makes one line: the primary, its address, and a key that tests use to see
// how far the program has come.
const lineTemplate = "{{with primary}}{{.Name}} {{.Addr}}{{end}} {{getv \"/fence\" \"-\"}}\n"

// declare writes the resource's files.
func (h *host) declare(d declared) {
	h.t.Helper()
	if d.prefix == "" {
		d.prefix = h.prefix
	}
	if d.template == "" {
		d.template = lineTemplate
	}
	if d.dest == "" {
		d.dest = h.dest(d.name)
	}
	if d.src == "" {
		d.src = d.name + ".tmpl"
	}
	switch d.reload {
	case "":
		d.reload = h.record(d.name)
	case "none":
		d.reload = ""
	}
	text := fmt.Sprintf("[template]\nprefix = %q\nsrc = %q\ndest = %q\nreload_cmd = %q\n%s\n", d.prefix, d.src, d.dest, d.reload, d.extra)
	write(h.t, text, h.dir, "conf.d", d.name+".toml")
	write(h.t, d.template, h.dir, "templates", d.src)
}

func (h *host) dest(name string) string { return filepath.Join(h.out, name+".conf") }

// record is a reload command that notes what a proxy would read now.
func (h *host) record(name string) string {
	return fmt.Sprintf("cat {{.dest}} >>%s", h.toldFile(name))
}

func (h *host) toldFile(name string) string { return filepath.Join(h.dir, name+".told") }

// told returns the lines that the proxy read, one for each reload.
func (h *host) told(name string) []string {
	h.t.Helper()
	content, err := os.ReadFile(h.toldFile(name))
	if err != nil && !os.IsNotExist(err) {
		h.t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
}

// argv is the daemon's command line. The interval is long, so that nothing is put right by
// it unless the test gives another one.
func (h *host) argv(flags ...string) []string {
	h.t.Helper()
	config := filepath.Join(h.dir, "pc4patroni.toml")
	if !exists(config) {
		write(h.t, "", config)
	}
	argv := []string{h.program, "-confdir", h.dir, "-config-file", config, "-interval", "1h"}
	for _, node := range h.nodes {
		argv = append(argv, "-node", node)
	}
	return append(argv, flags...)
}

// start starts the daemon.
func (h *host) start(flags ...string) {
	h.t.Helper()
	// Under the race detector a program sleeps for a second at its end, unless told so.
	h.run = launch(h.t, h.dir, "pc4patroni", account{}, []string{"GORACE=atexit_sleep_ms=20"}, h.argv(flags...)...)
	h.t.Cleanup(func() {
		if strings.Contains(h.log(), "WARNING: DATA RACE") {
			h.t.Errorf("the race detector found something:\n%s", h.log())
		}
	})
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// stop ends the daemon as systemd would and checks that it leaves nothing behind.
func (h *host) stop() {
	h.t.Helper()
	h.run.signal(h.t, syscall.SIGTERM)
	h.ended(0)
	h.tidy()
}

// ended waits for the end of the daemon, and fails the test if its status is another.
func (h *host) ended(status int) {
	h.t.Helper()
	select {
	case <-h.run.done:
	case <-time.After(longEnough):
		h.t.Fatalf("the program runs on %v after the signal", longEnough)
	}
	if got := h.run.cmd.ProcessState.ExitCode(); got != status {
		h.t.Errorf("the program ended with %d, want %d: %v", got, status, h.run.err)
	}
}

// kill ends the daemon as a crash would.
func (h *host) kill() {
	h.t.Helper()
	h.run.signal(h.t, syscall.SIGKILL)
	<-h.run.done
}

// tidy checks that nothing lies beside the dests: no staged file, no mark.
func (h *host) tidy() {
	h.t.Helper()
	for _, name := range h.litter() {
		h.t.Errorf("%s was left in the directory of dest", name)
	}
}

// litter returns the names of the program's own files among the dests.
func (h *host) litter() []string {
	h.t.Helper()
	entries, err := os.ReadDir(h.out)
	if err != nil {
		h.t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		if strings.Contains(entry.Name(), "pc4patroni") {
			names = append(names, entry.Name())
		}
	}
	return names
}

// log returns what the daemon has logged over all its runs.
func (h *host) log() string {
	h.t.Helper()
	return read(h.t, h.dir, "pc4patroni.log")
}

// awaitLog waits until the log holds the text so many times or more.
func (h *host) awaitLog(text string, times int) {
	h.t.Helper()
	h.await(fmt.Sprintf("%d x %q in the log", times, text), func() error {
		if got := strings.Count(h.log(), text); got < times {
			return fmt.Errorf("%d times", got)
		}
		return nil
	})
}

// logged fails the test unless the log holds the text exactly so often.
func (h *host) logged(text string, times int) {
	h.t.Helper()
	if got := strings.Count(h.log(), text); got != times {
		h.t.Errorf("%q is in the log %d times, want %d", text, got, times)
	}
}

// await waits for a condition while the daemon runs.
func (h *host) await(what string, condition func() error) {
	h.t.Helper()
	h.awaitFor(longEnough, what, condition)
}

func (h *host) awaitFor(deadline time.Duration, what string, condition func() error) {
	h.t.Helper()
	eventually(h.t, deadline, what, func() error {
		if h.run != nil {
			if err := h.run.running(); err != nil {
				return err
			}
		}
		return condition()
	})
}

// awaitFile waits until the dest of the resource holds the line.
func (h *host) awaitFile(name, line string) {
	h.t.Helper()
	h.awaitContent(h.dest(name), line+"\n")
}

func (h *host) awaitContent(path, content string) {
	h.t.Helper()
	h.await(filepath.Base(path)+" is right", func() error {
		got, err := os.ReadFile(path)
		if err == nil && string(got) != content {
			err = fmt.Errorf("holds %q, want %q", got, content)
		}
		return err
	})
}

// awaitTold waits until the last thing that the proxy was told is the line, and nothing is
// owed to it any more.
func (h *host) awaitTold(name, line string) {
	h.t.Helper()
	h.await("the proxy is told by "+name, func() error {
		if told := h.told(name); told[len(told)-1] != line {
			return fmt.Errorf("told %q last, want %q", told[len(told)-1], line)
		}
		if litter := h.litter(); len(litter) > 0 {
			return fmt.Errorf("there is still %q", litter)
		}
		return nil
	})
	h.fileIs(h.dest(name), line+"\n")
}

// awaitToldTimes waits until the proxy was told so often.
func (h *host) awaitToldTimes(name string, times int) {
	h.t.Helper()
	h.await("the proxy is told again", func() error {
		if n := len(h.told(name)); n != times {
			return fmt.Errorf("told %d times, want %d", n, times)
		}
		return nil
	})
}

// fileIs fails the test unless the file holds exactly that now.
func (h *host) fileIs(path, content string) {
	h.t.Helper()
	if got := read(h.t, path); got != content {
		h.t.Errorf("%s holds %q, want %q", filepath.Base(path), got, content)
	}
}

// toldExactly fails the test unless the proxy was told these lines, no more and no less.
func (h *host) toldExactly(name string, lines ...string) {
	h.t.Helper()
	if got := h.told(name); !slices.Equal(got, lines) {
		h.t.Errorf("the proxy was told by %s:\n%q\nwant:\n%q", name, got, lines)
	}
}

// put writes keys of the host's prefix, each in a revision of its own.
func (h *host) put(pairs ...string) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), longEnough)
	defer cancel()
	for i := 0; i < len(pairs); i += 2 {
		if _, err := h.etcd.Put(ctx, h.prefix+pairs[i], pairs[i+1]); err != nil {
			h.t.Fatalf("put %s: %v", pairs[i], err)
		}
	}
}

func (h *host) delete(key string, opts ...clientv3.OpOption) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), longEnough)
	defer cancel()
	if _, err := h.etcd.Delete(ctx, h.prefix+key, opts...); err != nil {
		h.t.Fatalf("delete %s: %v", key, err)
	}
}

// led is what Patroni writes for members db1 and db2 with the first of them leading,
// as pairs for put.
func led(leader string) []string {
	return []string{
		"/initialize", "7000000000000000001",
		"/members/db1", memberAt("10.0.0.1", 1000),
		"/members/db2", memberAt("10.0.0.2", 1000),
		"/leader", leader,
	}
}

func memberAt(address string, position int) string {
	return fmt.Sprintf(`{"conn_url":"postgres://%s:5432/postgres","api_url":"http://%s:8008/patroni","state":"running",`+
		`"role":"replica","version":"4.0.4","xlog_location":%d,"timeline":1}`, address, address, position)
}

// What lineTemplate makes of led.
const (
	db1 = "db1 10.0.0.1:5432 -"
	db2 = "db2 10.0.0.2:5432 -"
)
