package proctest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Server is a running server in a process group of its own.
type Server struct {
	name string
	Log  string // path of what it printed
	Cmd  *exec.Cmd
	Done chan struct{} // closed when it has ended
	err  error         // how it ended; only after done

	StopWith []syscall.Signal // tried in this order at the end of the test
}

// Launch starts a server and has it stopped when the test is over. Its output goes
// to NAME.log in dir, and is printed if the test fails.
func Launch(t testing.TB, dir, name string, who Account, env []string, argv ...string) *Server {
	t.Helper()
	path := Program(argv[0])
	if path == "" {
		t.Fatalf("%s is not installed", argv[0])
	}
	s := &Server{name: name, Log: filepath.Join(dir, name+".log"), Done: make(chan struct{}),
		StopWith: []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL}}
	out, err := os.OpenFile(s.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	s.Cmd = exec.Command(path, argv[1:]...)
	s.Cmd.Dir = dir
	s.Cmd.Stdout, s.Cmd.Stderr = out, out
	s.Cmd.Env = append([]string{"PATH=" + os.Getenv("PATH") + ":" + strings.Join(serverDirs, ":"), "LC_ALL=C.UTF-8", "HOME=" + dir}, env...)
	s.Cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: who.credential()}
	if err := s.Cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	forget := Undertaker.Watch(t, fmt.Sprintf("kill -KILL -%d", s.Cmd.Process.Pid))
	go func() {
		s.err = s.Cmd.Wait()
		close(s.Done)
	}()
	t.Cleanup(func() {
		s.Stop(t)
		forget()
		if t.Failed() {
			t.Logf("%s printed:\n%s", name, Tail(s.Log, 60))
		}
	})
	return s
}

// Signal sends to the server alone, not to its group.
func (s *Server) Signal(t testing.TB, sig os.Signal) {
	t.Helper()
	if err := s.Cmd.Process.Signal(sig); err != nil {
		t.Fatalf("signal %s: %v", s.name, err)
	}
}

// Stop ends the whole group, gently first.
func (s *Server) Stop(t testing.TB) {
	pgid := -s.Cmd.Process.Pid
	for _, sig := range s.StopWith {
		if err := syscall.Kill(pgid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Errorf("stop %s: %v", s.name, err)
		}
		select {
		case <-s.Done:
			// What it left in its group must not outlive it.
			_ = syscall.Kill(pgid, syscall.SIGKILL)
			return
		case <-time.After(10 * time.Second):
		}
	}
	t.Errorf("%s cannot be stopped", s.name)
}

// Running is the condition that the server has not ended; it never does again.
func (s *Server) Running() error {
	select {
	case <-s.Done:
		return &hopelessError{fmt.Errorf("%s has ended (%v) and printed:\n%s", s.name, s.err, Tail(s.Log, 30))}
	default:
		return nil
	}
}

// AwaitPort waits until something accepts connections on the port.
func (s *Server) AwaitPort(t testing.TB, port int) {
	t.Helper()
	Eventually(t, 30*time.Second, s.name+" listens", func() error {
		if err := s.Running(); err != nil {
			return err
		}
		return Dial(port)
	})
}

// Tail returns the last lines of a file that tell something: Patroni's heartbeats, one
// a second and per node, do not.
func Tail(path string, lines int) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	var telling []string
	for line := range strings.Lines(string(content)) {
		if !strings.Contains(line, "INFO: no action.") {
			telling = append(telling, line)
		}
	}
	return strings.Join(telling[max(0, len(telling)-lines):], "")
}

// reaper is a shell that outlives this process for as long as it takes to kill what
// this process left behind. A test binary that runs into go test's -timeout panics
// and runs no cleanup: its servers would stay for ever, and keep their ports.
type reaper struct {
	mu      sync.Mutex
	stdin   io.WriteCloser
	pending int
	next    int
}

var Undertaker reaper

// The shell reads "NUMBER COMMAND" to remember a command and "NUMBER" to forget it.
// At the end of its input, which is the end of this process or of its last server,
// it runs those that are left, the newest first, as cleanups run.
const reaperScript = `
while read -r id command; do
	eval "command_$id=\$command"
	ids="$id $ids"
done
for id in $ids; do
	eval "eval \"\$command_$id\"" 2>/dev/null
done
`

// Watch has the shell command run if this process ends without calling forget.
func (r *reaper) Watch(t testing.TB, command string) (forget func()) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stdin == nil {
		sh := exec.Command("/bin/sh", "-c", reaperScript)
		// Not to be ended by the Ctrl-C that ends the test.
		sh.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		stdin, err := sh.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := sh.Start(); err != nil {
			t.Fatal(err)
		}
		// It is not waited for: it ends after this process, or nearly so.
		if err := sh.Process.Release(); err != nil {
			t.Fatal(err)
		}
		r.stdin = stdin
	}
	r.next++
	id := r.next
	r.pending++
	fmt.Fprintf(r.stdin, "%d %s\n", id, command)
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		fmt.Fprintf(r.stdin, "%d\n", id)
		r.pending--
		if r.pending == 0 {
			r.stdin.Close()
			r.stdin = nil
		}
	}
}
