package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pc4patroni/backends/etcd/etcdtest"

	"pc4patroni/internal/proctest"
)

// long tells whether the campaign and the soak run at their full length.
func long() bool { return os.Getenv("PC4PATRONI_LONG") == "1" }

// TestKillCampaign kills the program with -9 at random moments during a stream of changes:
// 300 times with PC4PATRONI_LONG=1, which is how CI runs it now and then, and 60 times
// otherwise. PC4PATRONI_SEED repeats the moments of an earlier run.
func TestKillCampaign(t *testing.T) {
	proctest.Need(t, "flock")
	kills := 60
	if long() {
		kills = 300
	}
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("PC4PATRONI_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("PC4PATRONI_SEED=%d, %d kills", seed, kills)
	random := rand.New(rand.NewPCG(seed, 0))

	s := etcdtest.Start(t)
	h := newHost(t, proctest.DialEtcd(t, s.URL()), s.URL())
	// Every line says which state it is of, and there are more than a page.
	const lines = 500
	// A reload that a killed program left running may be overtaken by that of the next. A
	// proxy reads its file and takes it on in one go, which the lock is for.
	told := "flock " + filepath.Join(h.Dir, "lock") + " sh -c 'head -n 1 {{.dest}} >>" + h.ToldFile("main") + "'"
	h.Declare(proctest.Declared{Name: "main", Template: "{{range seq 1 500}}{{getv \"/n\"}}\n{{end}}", Reload: told,
		Extra: `check_cmd = "test $(wc -l <{{.src}}) -eq 500"`})
	h.Put("/n", "0")

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var background sync.WaitGroup
	changes := 0
	background.Go(func() {
		for ctx.Err() == nil {
			changes++
			// A put that is given up could still take effect after the last one.
			if _, err := h.Etcd.Put(context.WithoutCancel(ctx), h.Prefix+"/n", strconv.Itoa(changes)); err != nil {
				t.Errorf("put: %v", err)
				return
			}
			proctest.Pause(ctx, 3*time.Millisecond)
		}
	})
	background.Go(func() {
		for seen := false; ctx.Err() == nil; proctest.Pause(ctx, 100*time.Microsecond) {
			content, err := os.ReadFile(h.Dest("main"))
			if errors.Is(err, fs.ErrNotExist) && !seen {
				continue
			}
			seen = true
			if err == nil {
				err = whole(content, lines)
			}
			if err != nil {
				t.Errorf("a reader of dest saw: %v", err)
				return
			}
		}
	})

	// The first run shows how long it takes to the first reload here and now; the
	// others are killed before it, around it and after it.
	began := time.Now()
	end := h.crashable()
	h.awaitPath(h.ToldFile("main"))
	most := 3 * time.Since(began)
	end()
	for range kills {
		end := h.crashable()
		proctest.Pause(ctx, time.Duration(random.Int64N(int64(most))))
		end()
	}
	cancel()
	background.Wait()
	changes++
	h.Put("/n", strconv.Itoa(changes))
	h.Start()
	last := strconv.Itoa(changes)
	h.Await("the proxy is told of the last state", func() error {
		if told := h.Told("main"); told[len(told)-1] != last || len(h.Litter()) > 0 {
			return fmt.Errorf("told %q last, want %q; %q left", told[len(told)-1], last, h.Litter())
		}
		return nil
	})
	h.Stop()
	h.FileIs(h.Dest("main"), strings.Repeat(last+"\n", lines))

	entries, err := os.ReadDir(h.Out)
	if err != nil || len(entries) != 1 {
		t.Errorf("the directory of dest holds %v, %v", entries, err)
	}
	before, reloads := 0, h.Told("main")
	for i, line := range reloads {
		n, err := strconv.Atoi(line)
		if err != nil || n < before {
			t.Fatalf("reload %d told the proxy %q after %d", i, line, before)
		}
		before = n
	}
	if reloads[len(reloads)-1] != last {
		t.Errorf("the proxy was told %q last, want %q", reloads[len(reloads)-1], last)
	}
	t.Logf("killed within the first %v of each run; %d changes, %d reloads, %d reloads owed since an earlier run, leftovers found %d times",
		most.Round(time.Millisecond), changes, len(reloads), strings.Count(h.Log(), "pending since an earlier run"),
		strings.Count(h.Log(), "staged files of an earlier run removed"))
}

// whole checks that the content is one line so many times.
func whole(content []byte, lines int) error {
	line, _, _ := bytes.Cut(content, []byte("\n"))
	if bytes.Equal(content, bytes.Repeat(append(bytes.Clone(line), '\n'), lines)) {
		return nil
	}
	return fmt.Errorf("half a file: %d bytes, %d lines, of which the first is %q", len(content), bytes.Count(content, []byte("\n")), line)
}

// crashable starts the daemon and returns what ends it with SIGKILL. Unlike start it does
// not print the log each time when the test fails.
func (h *host) crashable() (kill func()) {
	h.T.Helper()
	log, err := os.OpenFile(filepath.Join(h.Dir, "pc4patroni.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		h.T.Fatal(err)
	}
	defer log.Close()
	argv := h.Argv()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		h.T.Fatal(err)
	}
	forget := proctest.Undertaker.Watch(h.T, fmt.Sprintf("kill -KILL %d", cmd.Process.Pid))
	done := false
	kill = func() {
		if done {
			return
		}
		done = true
		if err := cmd.Process.Kill(); err != nil {
			h.T.Errorf("kill: %v", err)
		}
		err := cmd.Wait()
		if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
			h.T.Errorf("the program ended by itself: %v\n%s", err, proctest.Tail(log.Name(), 30))
		}
		forget()
	}
	h.T.Cleanup(kill)
	return kill
}
