package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"pc4patroni/backends/etcd/etcdtest"

	"pc4patroni/internal/proctest"
)

// TestSignals is about the end of the program, beside what stands among the faults.
func TestSignals(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers: not with -short")
	}
	proctest.Binary(t)
	shared := etcdtest.Start(t)
	client := proctest.DialEtcd(t, shared.URL())
	for _, tt := range []struct {
		name string
		test func(*testing.T, *host)
	}{
		{"second signal", signalTwice},
		{"second signal to onetime", signalTwiceOnetime},
		{"no time left", signalTimeout},
		{"while a reading waits", signalWhileReading},
		{"log without a reader", signalPipe},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.test(t, newHost(t, client, shared.URL()))
		})
	}
	t.Run("etcd away", func(t *testing.T) {
		t.Parallel()
		h := newHost(t, nil, "http://"+proctest.Loopback(proctest.FreePort(t)))
		h.Declare(proctest.Declared{Name: "main"})
		h.Start()
		h.AwaitLog("backend cannot be read", 1)
		h.Stop()
	})
}

// stubborn is a reload that does not react to TERM, and notes its process group.
func (h *host) stubborn() string {
	return fmt.Sprintf("trap '' TERM; echo $$ >%[1]s.new && mv %[1]s.new %[1]s; while :; do sleep 0.05; done", h.groupFile())
}

func (h *host) groupFile() string { return filepath.Join(h.Dir, "group") }

// groupGone fails the test unless nothing of the reload's process group runs.
func (h *host) groupGone() {
	h.T.Helper()
	group, err := strconv.Atoi(strings.TrimSpace(proctest.Read(h.T, h.groupFile())))
	if err != nil {
		h.T.Fatal(err)
	}
	proctest.Eventually(h.T, proctest.LongEnough, "the reload's processes end", func() error {
		// Nobody may have reaped the dead ones here.
		out, _ := exec.Command("ps", "-o", "pid=,stat=", "-g", strconv.Itoa(group)).Output()
		for line := range strings.Lines(string(out)) {
			if fields := strings.Fields(line); len(fields) == 2 && !strings.HasPrefix(fields[1], "Z") {
				return fmt.Errorf("there is %s", strings.TrimSpace(line))
			}
		}
		return nil
	})
}

// owes fails the test unless the mark of an owed reload is there.
func (h *host) owes(name string) {
	h.T.Helper()
	if mark := filepath.Join(h.Out, "."+name+".conf.pc4patroni-reload"); !proctest.Exists(mark) {
		h.T.Errorf("the reload that was cut off is not owed: no %s", mark)
	}
}

func signalTwice(t *testing.T, h *host) {
	h.Declare(proctest.Declared{Name: "main", Reload: h.stubborn()})
	h.Put(proctest.Led("db1")...)
	h.Start()
	h.awaitPath(h.groupFile())
	h.Run.Signal(t, syscall.SIGTERM)
	h.AwaitLog("stopping, running commands may finish", 1)
	if err := h.Run.Running(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	h.Run.Signal(t, syscall.SIGTERM)
	h.Ended(128 + int(syscall.SIGTERM))
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("it took %v to end at once", took)
	}
	h.groupGone()
	h.owes("main")
	h.Logged("ended at once by a second signal", 2) // by the reload's record and at the end
}

func signalTwiceOnetime(t *testing.T, h *host) {
	h.Declare(proctest.Declared{Name: "main", Reload: h.stubborn()})
	h.Put(proctest.Led("db1")...)
	h.Start("-onetime")
	h.awaitPath(h.groupFile())
	h.Run.Signal(t, syscall.SIGINT)
	h.AwaitLog("stopping, running commands may finish", 1)
	h.Run.Signal(t, syscall.SIGINT)
	h.Ended(128 + int(syscall.SIGINT))
	h.groupGone()
	h.owes("main")
}

// signalTimeout has a reload that takes longer than it may.
func signalTimeout(t *testing.T, h *host) {
	h.Declare(proctest.Declared{Name: "main", Reload: "echo $$ >" + h.groupFile() + "; sleep 600"})
	h.Put(proctest.Led("db1")...)
	h.Start("-shutdown-timeout", "300ms")
	h.awaitPath(h.groupFile())
	h.Run.Signal(t, syscall.SIGTERM)
	h.Ended(0)
	h.groupGone()
	h.owes("main")
	h.Logged("still running 300ms after the signal", 1)
}

// signalWhileReading ends the program while the reading of the configuration waits for a
// reload of a resource that it changed.
func signalWhileReading(t *testing.T, h *host) {
	finish := filepath.Join(h.Dir, "finish")
	main := proctest.Declared{Name: "main", Reload: fmt.Sprintf("echo $$ >%s; until [ -e %s ]; do sleep 0.05; done; %s", h.groupFile(), finish, h.Record("main"))}
	h.Declare(main)
	h.Put(proctest.Led("db1")...)
	h.Start()
	h.awaitPath(h.groupFile())
	main.Template = "new\n"
	h.Declare(main)
	h.Run.Signal(t, syscall.SIGHUP)
	h.AwaitLog("reloading the configuration", 1)
	h.Run.Signal(t, syscall.SIGTERM)
	h.AwaitLog("stopping", 1)
	proctest.Write(t, "", finish)
	h.Ended(0)
	h.Tidy()
	h.ToldExactly("main", proctest.Db1)
}

// signalPipe takes away the reader of the log, as the end of a program behind a pipe does.
func signalPipe(t *testing.T, h *host) {
	h.Declare(proctest.Declared{Name: "main"})
	h.Put(proctest.Led("db1")...)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(h.Program, h.Argv("-log-level", "debug")[1:]...)
	cmd.Stdout, cmd.Stderr = writer, writer
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	if _, err := reader.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	writer.Close()
	reader.Close()
	h.AwaitTold("main", proctest.Db1)
	h.Put("/leader", "db2")
	h.AwaitTold("main", proctest.Db2)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the program ended with: %v", err)
	}
	h.Tidy()
}
