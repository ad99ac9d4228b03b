package proctest

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Holdings is what a process holds. Bytes.
type Holdings struct {
	Descriptors, threads int
	Resident             int
	Goroutines, Heap     int // of Go processes that tell
}

func (h Holdings) String() string {
	s := fmt.Sprintf("%d descriptors, %d threads, %.1f MiB resident", h.Descriptors, h.threads, float64(h.Resident)/(1<<20))
	if h.Goroutines > 0 {
		s += fmt.Sprintf(", %d goroutines, %d KiB of heap", h.Goroutines, h.Heap>>10)
	}
	return s
}

// Held asks the kernel what a process holds.
func Held(t testing.TB, pid int) Holdings {
	t.Helper()
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	fds, err := os.ReadDir(filepath.Join(proc, "fd"))
	if err != nil {
		lackProc(t, err)
	}
	status, err := os.ReadFile(filepath.Join(proc, "status"))
	if err != nil {
		lackProc(t, err)
	}
	field := func(name string) int {
		_, rest, found := strings.Cut(string(status), "\n"+name+":")
		fields := strings.Fields(rest)
		if !found || len(fields) == 0 {
			t.Fatalf("%s/status has no %s", proc, name)
		}
		n, err := strconv.Atoi(fields[0])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return Holdings{Descriptors: len(fds), threads: field("Threads"), Resident: field("VmRSS") << 10}
}

func lackProc(t testing.TB, err error) {
	t.Helper()
	if os.IsNotExist(err) && runtime.GOOS != "linux" {
		t.Skipf("what a process holds is read from /proc: %v", err)
	}
	t.Fatal(err)
}

// Pause waits until the time is over or the context is done.
func Pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func Dial(port int) error {
	conn, err := net.DialTimeout("tcp", Loopback(port), time.Second)
	if err != nil {
		return err
	}
	return conn.Close()
}
