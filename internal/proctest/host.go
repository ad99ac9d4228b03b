package proctest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// LongEnough bounds whatever should take a moment, on a machine with other things to do.
const LongEnough = 30 * time.Second

// A Host is what runs beside a proxy: the program with its configuration, the files that
// it keeps true in a directory of their own, and a log of what the proxy was told.
type Host struct {
	T       testing.TB
	Program string
	Dir     string // conf.d, templates, and what reload commands write
	Out     string // every dest
	Prefix  string // in etcd
	Nodes   []string
	Etcd    *clientv3.Client // the test's own connection
	Run     *Server          // nil before start
}

// NewHost returns a host whose program will talk to the nodes.
func NewHost(t testing.TB, etcd *clientv3.Client, nodes ...string) *Host {
	t.Helper()
	dir := WorkDir(t)
	h := &Host{T: t, Program: Binary(t), Dir: dir, Out: filepath.Join(dir, "out"), Etcd: etcd, Nodes: nodes,
		Prefix: "/service/" + filepath.Base(dir)}
	if err := os.Mkdir(h.Out, 0o755); err != nil {
		t.Fatal(err)
	}
	return h
}

// DialEtcd is a connection of the test's own to a server that asks for nothing.
func DialEtcd(t testing.TB, urls ...string) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: urls, DialTimeout: LongEnough, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// Declared is a resource. What is left empty gets a default that most cases need.
type Declared struct {
	Name     string
	Prefix   string // that of the host
	Template string // lineTemplate
	Src      string // NAME.tmpl
	dest     string // NAME.conf among the dests
	Reload   string // records what the proxy was told in NAME.told; "none" is none
	Extra    string // further lines
}

// LineTemplate makes one line: the primary, its address, and a key that tests use to see
// how far the program has come.
const LineTemplate = "{{with primary}}{{.Name}} {{.Addr}}{{end}} {{getv \"/fence\" \"-\"}}\n"

// Declare writes the resource's files.
func (h *Host) Declare(d Declared) {
	h.T.Helper()
	if d.Prefix == "" {
		d.Prefix = h.Prefix
	}
	if d.Template == "" {
		d.Template = LineTemplate
	}
	if d.dest == "" {
		d.dest = h.Dest(d.Name)
	}
	if d.Src == "" {
		d.Src = d.Name + ".tmpl"
	}
	switch d.Reload {
	case "":
		d.Reload = h.Record(d.Name)
	case "none":
		d.Reload = ""
	}
	text := fmt.Sprintf("[template]\nprefix = %q\nsrc = %q\ndest = %q\nreload_cmd = %q\n%s\n", d.Prefix, d.Src, d.dest, d.Reload, d.Extra)
	Write(h.T, text, h.Dir, "conf.d", d.Name+".toml")
	Write(h.T, d.Template, h.Dir, "templates", d.Src)
}

func (h *Host) Dest(name string) string { return filepath.Join(h.Out, name+".conf") }

// Record is a reload command that notes what a proxy would read now.
func (h *Host) Record(name string) string {
	return fmt.Sprintf("cat {{.dest}} >>%s", h.ToldFile(name))
}

func (h *Host) ToldFile(name string) string { return filepath.Join(h.Dir, name+".told") }

// Told returns the lines that the proxy read, one for each reload.
func (h *Host) Told(name string) []string {
	h.T.Helper()
	content, err := os.ReadFile(h.ToldFile(name))
	if err != nil && !os.IsNotExist(err) {
		h.T.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
}

// Argv is the daemon's command line. The interval is long, so that nothing is put right by
// it unless the test gives another one.
func (h *Host) Argv(flags ...string) []string {
	h.T.Helper()
	config := filepath.Join(h.Dir, "pc4patroni.toml")
	if !Exists(config) {
		Write(h.T, "", config)
	}
	argv := []string{h.Program, "-confdir", h.Dir, "-config-file", config, "-interval", "1h"}
	for _, node := range h.Nodes {
		argv = append(argv, "-node", node)
	}
	return append(argv, flags...)
}

// Start starts the daemon.
func (h *Host) Start(flags ...string) {
	h.T.Helper()
	// Under the race detector a program sleeps for a second at its end, unless told so.
	h.Run = Launch(h.T, h.Dir, "pc4patroni", Account{}, []string{"GORACE=atexit_sleep_ms=20"}, h.Argv(flags...)...)
	h.T.Cleanup(func() {
		if strings.Contains(h.Log(), "WARNING: DATA RACE") {
			h.T.Errorf("the race detector found something:\n%s", h.Log())
		}
	})
}

func Exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// Stop ends the daemon as systemd would and checks that it leaves nothing behind.
func (h *Host) Stop() {
	h.T.Helper()
	h.Run.Signal(h.T, syscall.SIGTERM)
	h.Ended(0)
	h.Tidy()
}

// Ended waits for the end of the daemon, and fails the test if its status is another.
func (h *Host) Ended(status int) {
	h.T.Helper()
	select {
	case <-h.Run.Done:
	case <-time.After(LongEnough):
		h.T.Fatalf("the program runs on %v after the signal", LongEnough)
	}
	if got := h.Run.Cmd.ProcessState.ExitCode(); got != status {
		h.T.Errorf("the program ended with %d, want %d: %v", got, status, h.Run.err)
	}
}

// Kill ends the daemon as a crash would.
func (h *Host) Kill() {
	h.T.Helper()
	h.Run.Signal(h.T, syscall.SIGKILL)
	<-h.Run.Done
}

// Tidy checks that nothing lies beside the dests: no staged file, no mark.
func (h *Host) Tidy() {
	h.T.Helper()
	for _, name := range h.Litter() {
		h.T.Errorf("%s was left in the directory of dest", name)
	}
}

// Litter returns the names of the program's own files among the dests.
func (h *Host) Litter() []string {
	h.T.Helper()
	entries, err := os.ReadDir(h.Out)
	if err != nil {
		h.T.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		// The copy of a file that was not ours stays.
		if strings.Contains(entry.Name(), "pc4patroni") && !strings.HasSuffix(entry.Name(), ".pc4patroni-orig") {
			names = append(names, entry.Name())
		}
	}
	return names
}

// Log returns what the daemon has logged over all its runs.
func (h *Host) Log() string {
	h.T.Helper()
	return Read(h.T, h.Dir, "pc4patroni.log")
}

// AwaitLog waits until the log holds the text so many times or more.
func (h *Host) AwaitLog(text string, times int) {
	h.T.Helper()
	h.Await(fmt.Sprintf("%d x %q in the log", times, text), func() error {
		if got := strings.Count(h.Log(), text); got < times {
			return fmt.Errorf("%d times", got)
		}
		return nil
	})
}

// Logged fails the test unless the log holds the text exactly so often.
func (h *Host) Logged(text string, times int) {
	h.T.Helper()
	if got := strings.Count(h.Log(), text); got != times {
		h.T.Errorf("%q is in the log %d times, want %d", text, got, times)
	}
}

// Await waits for a condition while the daemon runs.
func (h *Host) Await(what string, condition func() error) {
	h.T.Helper()
	h.awaitFor(LongEnough, what, condition)
}

func (h *Host) awaitFor(deadline time.Duration, what string, condition func() error) {
	h.T.Helper()
	Eventually(h.T, deadline, what, func() error {
		if h.Run != nil {
			if err := h.Run.Running(); err != nil {
				return err
			}
		}
		return condition()
	})
}

// AwaitFile waits until the dest of the resource holds the line.
func (h *Host) AwaitFile(name, line string) {
	h.T.Helper()
	h.awaitContent(h.Dest(name), line+"\n")
}

func (h *Host) awaitContent(path, content string) {
	h.T.Helper()
	h.Await(filepath.Base(path)+" is right", func() error {
		got, err := os.ReadFile(path)
		if err == nil && string(got) != content {
			err = fmt.Errorf("holds %q, want %q", got, content)
		}
		return err
	})
}

// AwaitTold waits until the last thing that the proxy was told is the line, and nothing is
// owed to it any more.
func (h *Host) AwaitTold(name, line string) {
	h.T.Helper()
	h.Await("the proxy is told by "+name, func() error {
		if told := h.Told(name); told[len(told)-1] != line {
			return fmt.Errorf("told %q last, want %q", told[len(told)-1], line)
		}
		if litter := h.Litter(); len(litter) > 0 {
			return fmt.Errorf("there is still %q", litter)
		}
		return nil
	})
	h.FileIs(h.Dest(name), line+"\n")
}

// AwaitToldTimes waits until the proxy was told so often.
func (h *Host) AwaitToldTimes(name string, times int) {
	h.T.Helper()
	h.Await("the proxy is told again", func() error {
		if n := len(h.Told(name)); n != times {
			return fmt.Errorf("told %d times, want %d", n, times)
		}
		return nil
	})
}

// FileIs fails the test unless the file holds exactly that now.
func (h *Host) FileIs(path, content string) {
	h.T.Helper()
	if got := Read(h.T, path); got != content {
		h.T.Errorf("%s holds %q, want %q", filepath.Base(path), got, content)
	}
}

// ToldExactly fails the test unless the proxy was told these lines, no more and no less.
func (h *Host) ToldExactly(name string, lines ...string) {
	h.T.Helper()
	if got := h.Told(name); !slices.Equal(got, lines) {
		h.T.Errorf("the proxy was told by %s:\n%q\nwant:\n%q", name, got, lines)
	}
}

// Put writes keys of the host's prefix, each in a revision of its own.
func (h *Host) Put(pairs ...string) {
	h.T.Helper()
	ctx, cancel := context.WithTimeout(h.T.Context(), LongEnough)
	defer cancel()
	for i := 0; i < len(pairs); i += 2 {
		if _, err := h.Etcd.Put(ctx, h.Prefix+pairs[i], pairs[i+1]); err != nil {
			h.T.Fatalf("put %s: %v", pairs[i], err)
		}
	}
}

func (h *Host) Delete(key string, opts ...clientv3.OpOption) {
	h.T.Helper()
	ctx, cancel := context.WithTimeout(h.T.Context(), LongEnough)
	defer cancel()
	if _, err := h.Etcd.Delete(ctx, h.Prefix+key, opts...); err != nil {
		h.T.Fatalf("delete %s: %v", key, err)
	}
}

// Led is what Patroni writes for members db1 and db2 with the first of them leading,
// as pairs for put.
func Led(leader string) []string {
	return []string{
		"/initialize", "7000000000000000001",
		"/members/db1", MemberAt("10.0.0.1", 1000),
		"/members/db2", MemberAt("10.0.0.2", 1000),
		"/leader", leader,
	}
}

func MemberAt(address string, position int) string {
	return fmt.Sprintf(`{"conn_url":"postgres://%s:5432/postgres","api_url":"http://%s:8008/patroni","state":"running",`+
		`"role":"replica","version":"4.0.4","xlog_location":%d,"timeline":1}`, address, address, position)
}

// What lineTemplate makes of led.
const (
	Db1 = "db1 10.0.0.1:5432 -"
	Db2 = "db2 10.0.0.2:5432 -"
)
