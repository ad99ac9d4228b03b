package faults

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"pc4patroni/backends"
	backend "pc4patroni/backends/etcd"
	"pc4patroni/backends/etcd/etcdtest"
	"pc4patroni/resource"
	"pc4patroni/resource/engine"

	"pc4patroni/internal/proctest"
)

// TestSoak has etcd go away and come back every few seconds, in all the ways it can: for
// ten minutes with PC4PATRONI_LONG=1, for some seconds otherwise. Afterwards the program
// must hold what it held at the beginning: descriptors, threads and memory of the real
// program, and, of the engine in a process of its own, goroutines and heap.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers: not with -short")
	}
	length, pace := 5*time.Second, 400*time.Millisecond
	if long() {
		length, pace = 10*time.Minute, 3*time.Second
	}
	s := etcdtest.Start(t)
	proxy := etcdtest.NewProxy(t, s.Addr())
	node := "http://" + proxy.Addr()
	program, engine := newHost(t, s.Client(), node), newHost(t, s.Client(), node)
	engine.Prefix = program.Prefix
	program.Declare(proctest.Declared{Name: "main"})
	engine.Declare(proctest.Declared{Name: "main"})
	program.Put(proctest.Led("db1")...)
	program.Start()
	inside := startInside(t, engine)

	number := 0
	follows := func() {
		t.Helper()
		number++
		program.Etcd = s.Client()
		program.Put("/fence", strconv.Itoa(number))
		line := fmt.Sprintf("db1 10.0.0.1:5432 %d", number)
		program.AwaitTold("main", line)
		engine.AwaitTold("main", line)
	}
	ways := []func(){
		func() { proxy.Cut(); proctest.Pause(t.Context(), pace); proxy.Resume() },
		func() { s.Stop(); proctest.Pause(t.Context(), pace); s.Start() },
		func() { proxy.Break(); proctest.Pause(t.Context(), pace) },
		func() { proxy.Freeze(); proctest.Pause(t.Context(), pace); proxy.Break(); proxy.Resume() },
		func() { s.Restart() },
	}
	slowest := make([]time.Duration, len(ways)) // from etcd being back to the proxies being told
	round := func() {
		for i, away := range ways {
			away()
			back := time.Now()
			follows()
			slowest[i] = max(slowest[i], time.Since(back).Round(time.Millisecond))
			proctest.Pause(t.Context(), pace)
		}
	}
	// The first round fills caches and pools.
	follows()
	round()
	begin, beginInside := proctest.Held(t, program.Run.Cmd.Process.Pid), inside.held(t)
	rounds := 0
	for until := time.Now().Add(length); time.Now().Before(until); rounds++ {
		round()
	}
	// What a broken connection leaves may take a moment to end.
	var end, endInside proctest.Holdings
	program.Await("everything is as in the beginning", func() error {
		end, endInside = proctest.Held(t, program.Run.Cmd.Process.Pid), inside.held(t)
		switch {
		case end.Descriptors > begin.Descriptors || endInside.Descriptors > beginInside.Descriptors:
			return fmt.Errorf("descriptors: %d, now %d; inside %d, now %d", begin.Descriptors, end.Descriptors, beginInside.Descriptors, endInside.Descriptors)
		case endInside.Goroutines > beginInside.Goroutines:
			return fmt.Errorf("goroutines: %d, now %d", beginInside.Goroutines, endInside.Goroutines)
		case endInside.Heap > beginInside.Heap+512<<10:
			return fmt.Errorf("heap: %d KiB, now %d KiB", beginInside.Heap>>10, endInside.Heap>>10)
		case end.Resident > begin.Resident*3/2:
			return fmt.Errorf("resident memory: %d KiB, now %d KiB", begin.Resident>>10, end.Resident>>10)
		}
		return nil
	})
	t.Logf("%d times away in %d rounds; followed again after at most %v, by way of being away", rounds*len(ways), rounds, slowest)
	t.Logf("program: %v, at the end %v", begin, end)
	t.Logf("engine:  %v, at the end %v", beginInside, endInside)
	inside.end(t)
	program.Stop()
	engine.Tidy()
}

// insideVariable names the configuration that TestInside works on.
const insideVariable = "PC4PATRONI_TEST_INSIDE"

// inside is this test binary as a second process that runs TestInside.
type inside struct {
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	answers *bufio.Reader
}

func startInside(t *testing.T, h *host) *inside {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestInside$", "-test.timeout=1h")
	cmd.Env = append(os.Environ(), insideVariable+"="+h.Dir+","+h.Nodes[0])
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// It ends with its input, should this process end before it.
	t.Cleanup(func() { stdin.Close() })
	return &inside{cmd, stdin, bufio.NewReader(stdout)}
}

// held has the process say what it holds.
func (i *inside) held(t *testing.T) proctest.Holdings {
	t.Helper()
	h := proctest.Held(t, i.cmd.Process.Pid)
	if _, err := io.WriteString(i.stdin, "\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fscanf(i.answers, "%d %d\n", &h.Goroutines, &h.Heap); err != nil {
		t.Fatalf("ask the second process: %v", err)
	}
	return h
}

// end has the process end in good order.
func (i *inside) end(t *testing.T) {
	t.Helper()
	i.stdin.Close()
	_, _ = io.Copy(io.Discard, i.answers) // what go test prints at its end
	if err := i.cmd.Wait(); err != nil {
		t.Errorf("the second process: %v", err)
	}
}

// TestInside is no test of its own: TestSoak runs it in a second process. It runs the engine
// with a backend, as the program does, and for each line of its input prints the number of
// goroutines and the bytes of heap in use, until the input ends.
func TestInside(t *testing.T) {
	dir, node, ok := strings.Cut(os.Getenv(insideVariable), ",")
	if !ok {
		t.Skip("runs as a part of TestSoak")
	}
	logger := slog.New(slog.DiscardHandler)
	set, err := resource.Load(resource.Options{ConfDir: dir, Logger: logger})
	if err != nil || len(set.Broken) > 0 {
		t.Fatal(err, set)
	}
	e := engine.New(engine.Options{
		Interval: time.Hour, Watch: true, Environ: os.Environ(), Logger: logger,
		Open: func(string) (backends.Backend, error) {
			return backend.New(backend.Config{Nodes: []string{node}, Logger: logger})
		},
	})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx, t.Context(), set) }()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		// Twice, because what has a finalizer goes with the second.
		runtime.GC()
		runtime.GC()
		var mem runtime.MemStats
		runtime.ReadMemStats(&mem)
		fmt.Printf("%d %d\n", runtime.NumGoroutine(), mem.HeapAlloc)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
