package faults

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pc4patroni/backends/etcd/etcdtest"

	"pc4patroni/internal/proctest"
)

// manager is systemd as far as a service talks to it: the owner of a socket.
type manager struct {
	t    *testing.T
	path string

	mu       sync.Mutex
	messages []string
}

// newManager listens on a socket in dir. onMessage is called with each message
// before the next one is read; nil is allowed.
func newManager(t *testing.T, dir string, onMessage func(message string)) *manager {
	t.Helper()
	m := &manager{t: t, path: filepath.Join(dir, "notify")}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	go func() {
		defer close(done)
		buf := make([]byte, 1<<16)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return // the test is over
			}
			message := string(buf[:n])
			if onMessage != nil {
				onMessage(message)
			}
			m.mu.Lock()
			m.messages = append(m.messages, message)
			m.mu.Unlock()
		}
	}()
	return m
}

// all returns the lines of all messages so far.
func (m *manager) all() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var lines []string
	for _, message := range m.messages {
		lines = append(lines, strings.Split(message, "\n")...)
	}
	return lines
}

// count returns how many lines there are that match the expression.
func (m *manager) count(expression string) int {
	re := regexp.MustCompile("^(?:" + expression + ")$")
	n := 0
	for _, line := range m.all() {
		if re.MatchString(line) {
			n++
		}
	}
	return n
}

// startUnder starts the daemon as systemd would, with a watchdog unless it is 0.
func (h *host) startUnder(m *manager, watchdog time.Duration, flags ...string) {
	h.T.Helper()
	env := []string{"NOTIFY_SOCKET=" + m.path}
	if watchdog > 0 {
		env = append(env, fmt.Sprintf("WATCHDOG_USEC=%d", watchdog.Microseconds()))
	}
	h.Run = proctest.Launch(h.T, h.Dir, "pc4patroni", proctest.Account{}, env, h.Argv(flags...)...)
	h.T.Cleanup(func() {
		if h.T.Failed() {
			h.T.Logf("systemd was told:\n%s", strings.Join(m.all(), "\n"))
		}
	})
}

// await waits until systemd was told so a number of times or more.
func (m *manager) await(expression string, times int) {
	m.t.Helper()
	proctest.Eventually(m.t, proctest.LongEnough, fmt.Sprintf("systemd is told %s %d times", expression, times), func() error {
		if n := m.count(expression); n < times {
			return fmt.Errorf("%d times", n)
		}
		return nil
	})
}

// never fails the test if systemd was told so.
func (m *manager) never(expression string) {
	m.t.Helper()
	if n := m.count(expression); n > 0 {
		m.t.Errorf("systemd was told %s %d times", expression, n)
	}
}

// TestSystemdStart has etcd come up after the program.
func TestSystemdStart(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers: not with -short")
	}
	t.Parallel()
	server := etcdtest.Start(t)
	h := newHost(t, proctest.DialEtcd(t, server.URL()), server.URL())
	h.Declare(proctest.Declared{Name: "main"})
	h.Put(proctest.Led("db1")...)
	server.Stop()

	var atReady struct { // what there was when READY=1 came
		sync.Mutex
		file, told string
	}
	m := newManager(t, h.Dir, func(message string) {
		if strings.Contains(message, "READY=1") {
			file, _ := os.ReadFile(h.Dest("main"))
			told, _ := os.ReadFile(h.ToldFile("main"))
			atReady.Lock()
			atReady.file, atReady.told = string(file), string(told)
			atReady.Unlock()
		}
	})
	h.startUnder(m, 900*time.Millisecond)
	m.await(`STATUS=starting: 0 of 1 resource in sync; etcd `+regexp.QuoteMeta(server.URL())+` away since 2.*: .+`, 1)
	// What SIGHUP does must not pass for the end of the start.
	h.Run.Signal(t, syscall.SIGHUP)
	h.AwaitLog("configuration reloaded", 1)
	m.never("READY=1")
	m.never("RELOADING=1")

	server.Start()
	m.await("READY=1", 1)
	m.await("STATUS=1 resource in sync", 1)
	atReady.Lock()
	if want := proctest.Db1 + "\n"; atReady.file != want || atReady.told != want {
		t.Errorf("when READY=1 came the file held %q and the proxy was told %q, want %q", atReady.file, atReady.told, want)
	}
	atReady.Unlock()

	// A status is told once, and what changes it is told.
	h.Delete("/leader")
	h.Put("/fence", "1")
	h.Declare(proctest.Declared{Name: "main", Template: "{{primary.Name}}\n"})
	h.Run.Signal(t, syscall.SIGHUP)
	m.await("STATUS=0 of 1 resource in sync; main held: .*no primary.*", 1)
	h.Put("/leader", "db2")
	m.await("STATUS=1 resource in sync", 2)
	h.Stop()
	m.await("STOPPING=1", 1)
}

// TestSystemdLife goes from READY to STOPPING.
func TestSystemdLife(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers: not with -short")
	}
	t.Parallel()
	server := etcdtest.Start(t)
	h := newHost(t, proctest.DialEtcd(t, server.URL()), server.URL())
	started, finish := filepath.Join(h.Dir, "started"), filepath.Join(h.Dir, "finish")
	h.Declare(proctest.Declared{Name: "main", Reload: fmt.Sprintf(
		"if [ -e %[1]s ]; then >%[1]s.again; until [ -e %[2]s ]; do sleep 0.05; done; fi; %[3]s", started, finish, h.Record("main"))})
	h.Put(proctest.Led("db1")...)
	m := newManager(t, h.Dir, nil)
	h.startUnder(m, 0, "-shutdown-timeout", "25s")
	m.await("READY=1", 1)
	h.AwaitTold("main", proctest.Db1)

	h.Declare(proctest.Declared{Name: "other", Reload: "none"})
	h.Run.Signal(t, syscall.SIGHUP)
	m.await("READY=1", 2)
	lines := m.all()
	i := slices.Index(lines, "RELOADING=1")
	if i < 0 || !regexp.MustCompile(`^MONOTONIC_USEC=[1-9][0-9]+$`).MatchString(lines[i+1]) || !slices.Contains(lines[i:], "READY=1") {
		t.Errorf("SIGHUP was told as %q", lines)
	}
	m.await("STATUS=2 resources in sync", 1)

	// SIGTERM lets the running reload finish.
	proctest.Write(t, "", started)
	h.Put("/leader", "db2")
	h.Await("the reload runs", func() error { _, err := os.Stat(started + ".again"); return err })
	h.Run.Signal(t, syscall.SIGTERM)
	m.await("STOPPING=1", 1)
	m.await("EXTEND_TIMEOUT_USEC=35000000", 1)
	m.await("STATUS=stopping: .*", 1)
	if err := h.Run.Running(); err != nil {
		t.Fatalf("it did not wait for the reload: %v", err)
	}
	proctest.Write(t, "", finish)
	h.Ended(0)
	h.Tidy()
	h.ToldExactly("main", proctest.Db1, proctest.Db2)
	if n := m.count("READY=1"); n != 2 {
		t.Errorf("READY=1 was told %d times, want 2", n)
	}
}

// busyTemplate takes some seconds to render once db2 leads.
const busyTemplate = `{{if eq (getv "/leader") "db2"}}{{range seq 1 300}}{{range seq 1 300}}{{range seq 1 300}}{{end}}{{end}}{{end}}{{end}}` + proctest.LineTemplate

// TestSystemdWatchdog has a loop hang, in a template that does not seem to end. The
// other loops turn, and yet systemd must hear nothing.
func TestSystemdWatchdog(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers: not with -short")
	}
	t.Parallel()
	server := etcdtest.Start(t)
	h := newHost(t, proctest.DialEtcd(t, server.URL()), server.URL())
	h.Declare(proctest.Declared{Name: "main", Template: busyTemplate})
	h.Declare(proctest.Declared{Name: "other"})
	h.Put(proctest.Led("db1")...)
	m := newManager(t, h.Dir, nil)
	h.startUnder(m, 500*time.Millisecond)
	h.AwaitTold("main", proctest.Db1)
	h.AwaitTold("other", proctest.Db1)
	m.await("WATCHDOG=1", 3)

	h.Put("/leader", "db2")
	h.AwaitFile("other", proctest.Db2)
	h.AwaitLog("workers=[main]", 1)
	silent := m.count("WATCHDOG=1")
	// The other unit works on meanwhile: its own turns are no sign of life.
	for i := range 3 {
		h.Put("/other", fmt.Sprint(i)) // which no template prints
		time.Sleep(100 * time.Millisecond)
	}
	if n := m.count("WATCHDOG=1"); n != silent && len(h.Told("main")) == 1 {
		t.Errorf("systemd was told %d times that all is well while a loop hung", n-silent)
	}
	m.await("WATCHDOG=1", silent+2)
	h.AwaitLog("every worker is alive again", 1)
	h.AwaitTold("main", proctest.Db2)
	h.Stop()
}

// TestSystemctlReload runs the unit's ExecReload as systemd does: a check, which fails the
// reload if the configuration has mistakes, and a signal. systemctl reload waits for
// READY=1 if RELOADING=1 came before that command ended.
func TestSystemctlReload(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers: not with -short")
	}
	t.Parallel()
	unit := proctest.Read(t, proctest.Repository(t), "packaging", "pc4patroni.service")
	reload := regexp.MustCompile(`(?m)^ExecReload=/usr/bin/pc4patroni -check\nExecReload=/bin/sh -c '(.*)'$`).FindStringSubmatch(unit)
	if reload == nil {
		t.Fatal("the unit does not check the configuration and then have a shell send the signal")
	}
	server := etcdtest.Start(t)
	h := newHost(t, proctest.DialEtcd(t, server.URL()), server.URL())
	h.Declare(proctest.Declared{Name: "main"})
	h.Put(proctest.Led("db1")...)
	m := newManager(t, h.Dir, nil)
	h.startUnder(m, 0)
	m.await("READY=1", 1)
	command := strings.ReplaceAll(reload[1], "$MAINPID", strconv.Itoa(h.Run.Cmd.Process.Pid))
	// A minimal Debian has no kill but the shell's.
	if out, err := exec.Command("/bin/sh", "-c", strings.ReplaceAll(command, "/bin/kill", "/nowhere/kill")).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	if m.count("RELOADING=1") == 0 {
		t.Error("the command ended before systemd was told RELOADING=1: systemctl reload does not wait")
	}
	m.await("READY=1", 2)
}
