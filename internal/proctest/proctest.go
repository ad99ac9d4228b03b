// Package proctest is the harness of the tests that run the built program: it
// builds it, runs it beside real servers (etcd, Patroni with PostgreSQL, HAProxy,
// PgBouncer, ...) on loopback, kills it and reads what it leaves behind.
//
// Where a server is not installed its tests are skipped, and say so; with
// PC4PATRONI_E2E=1, as CI sets it, a missing server is a failure, so that CI
// cannot pass by skipping.
package proctest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// serverDirs are searched after PATH: where Debian keeps what is no user's command.
var serverDirs = []string{"/usr/sbin", "/usr/local/sbin", "/usr/lib/postgresql/15/bin"}

// Program returns the path of a program, or "".
func Program(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, dir := range serverDirs {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	return ""
}

// Need skips the test where one of the programs is absent, and fails it instead
// where the environment promises that all of them are there.
func Need(t testing.TB, names ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts servers: not with -short")
	}
	for _, name := range names {
		if Program(name) == "" {
			Lack(t, fmt.Sprintf("%s is not installed", name))
		}
	}
}

// NeedRoot is need for what only root may do.
func NeedRoot(t testing.TB, why string) {
	t.Helper()
	if os.Getuid() != 0 {
		Lack(t, "only root may "+why)
	}
}

func Lack(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("PC4PATRONI_E2E") == "1" {
		t.Fatalf("%s, and PC4PATRONI_E2E=1 wants every end-to-end test to run", what)
	}
	t.Skipf("%s (PC4PATRONI_E2E=1 makes this a failure)", what)
}

// Repository is the module's root.
func Repository(t testing.TB) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// raceDetected tells whether this test binary was built with -race.
func raceDetected() bool {
	info, _ := debug.ReadBuildInfo()
	return info != nil && slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool {
		return s.Key == "-race" && s.Value == "true"
	})
}

var build struct {
	once sync.Once
	path string
	err  error
}

// Binary builds the program once per test binary and returns its path. It is there
// for every test, whichever comes last, and goes when this process has ended.
func Binary(t testing.TB) string {
	t.Helper()
	build.once.Do(func() { build.path, build.err = buildProgram(t, "") })
	if build.err != nil {
		t.Fatal(build.err)
	}
	return build.path
}

// buildProgram builds the program, with the files of an overlay if there is one.
func buildProgram(t testing.TB, overlay string) (string, error) {
	dir, err := os.MkdirTemp("", "pc4p-bin-")
	if err != nil {
		return "", err
	}
	Undertaker.Watch(t, "rm -rf "+dir)
	path := filepath.Join(dir, "pc4patroni")
	// As the releases are built, the program runs without any library; only the race
	// detector wants one. Tests with -race run the program with it too.
	cmd := exec.Command("go", "build", "-o", path, "pc4patroni/cmd/pc4patroni")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	switch {
	case overlay != "":
		cmd.Args = slices.Insert(cmd.Args, 2, "-overlay", overlay)
	case raceDetected():
		cmd.Args = slices.Insert(cmd.Args, 2, "-race")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, os.Chmod(dir, 0o755)
}

// WorkDir is a temporary directory that other users can enter, which those of
// testing.T are not. Its name is short, because the path of a Unix socket may have
// no more than 107 bytes.
func WorkDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pc4p-")
	if err != nil {
		t.Fatal(err)
	}
	forget := Undertaker.Watch(t, "rm -rf "+dir)
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove the work directory: %v", err)
		}
		forget()
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Write puts a file in place and returns its path. The mode is 0644.
func Write(t testing.TB, content string, elem ...string) string {
	t.Helper()
	path := filepath.Join(elem...)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func Read(t testing.TB, elem ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// Loopback is the address of a port on 127.0.0.1.
func Loopback(port int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

// Eventually polls until the condition holds, and fails the test with the last
// thing that was wrong when the deadline passes first.
func Eventually(t testing.TB, deadline time.Duration, what string, condition func() error) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	timeout := time.NewTimer(deadline)
	defer timeout.Stop()
	for {
		err := condition()
		if err == nil {
			return
		}
		if _, hopeless := errors.AsType[*hopelessError](err); hopeless {
			t.Fatalf("%s: %v", what, err)
		}
		select {
		case <-tick.C:
		case <-timeout.C:
			t.Fatalf("%s: not within %v: %v", what, deadline, err)
		case <-t.Context().Done():
			t.Fatalf("%s: the test is over: %v", what, err)
		}
	}
}

// hopelessError tells eventually that there is nothing left to wait for.
type hopelessError struct{ err error }

func (e *hopelessError) Error() string { return e.err.Error() }
func (e *hopelessError) Unwrap() error { return e.err }

// Outcome is what became of a command.
type Outcome struct {
	Code           int
	Stdout, Stderr string
}

// Invoke runs a command to its end, with nothing of this environment but the search
// path and what is given.
func Invoke(t testing.TB, env []string, argv ...string) Outcome {
	t.Helper()
	// No command of these tests takes longer unless it hangs.
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	return InvokeCmd(t, cmd, env)
}

func InvokeCmd(t testing.TB, cmd *exec.Cmd, env []string) Outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8"}, env...)
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatalf("%s: %v", strings.Join(cmd.Args, " "), err)
	}
	return Outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// Apply runs the built program and fails the test unless it exits with the status.
func Apply(t testing.TB, status int, args ...string) Outcome {
	t.Helper()
	got := Invoke(t, nil, append([]string{Binary(t)}, args...)...)
	if got.Code != status {
		t.Fatalf("pc4patroni %s: exit status %d, want %d\nstdout:\n%s\nstderr:\n%s",
			strings.Join(args, " "), got.Code, status, got.Stdout, got.Stderr)
	}
	return got
}

// Account is the user that a server runs as.
type Account struct {
	uid, Gid int
}

// Owner returns the account that PostgreSQL and PgBouncer run as, which must not be
// root: Debian's postgres, or whoever runs the tests.
func Owner(t testing.TB) Account {
	t.Helper()
	if os.Getuid() != 0 {
		return Account{os.Getuid(), os.Getgid()}
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		Lack(t, fmt.Sprintf("PostgreSQL does not run as root: %v", err))
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	return Account{uid, gid}
}

// credential is how exec runs a command as that account.
func (a Account) credential() *syscall.Credential {
	if os.Getuid() != 0 {
		return nil
	}
	return &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.Gid)}
}

// Give hands a file or directory over to the account.
func (a Account) Give(t testing.TB, path string) {
	t.Helper()
	if err := os.Chown(path, a.uid, a.Gid); err != nil {
		t.Fatal(err)
	}
}
