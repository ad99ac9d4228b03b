package proctest

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A Clock is the wall clock of a program that was built to have one of its own: no test may
// set that of the machine.
type Clock struct {
	Program string
	file    string
	ahead   time.Duration
}

// NewClock builds the program so that its wall clock goes as far ahead of the machine's as a
// file says. Nothing of the program changes for it: `go build -overlay` puts another
// time.Now in place, and a goroutine beside main that reads the file. It is built without
// the race detector, which would rightly complain of that.
func NewClock(t testing.TB) *Clock {
	t.Helper()
	dir := WorkDir(t)
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	original := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	const asks = "sec, nsec, mono := runtimeNow()\n"
	text := Read(t, original)
	if !strings.Contains(text, asks) {
		t.Fatalf("%s: time.Now does not ask the runtime as it did", original)
	}
	text = strings.ReplaceAll(text, asks, asks+"\tsec += Ahead\n") + "\nvar Ahead int64\n"
	c := &Clock{file: filepath.Join(dir, "ahead")}
	c.Step(t, 0)
	replace := map[string]string{
		original: Write(t, text, dir, "time.go"),
		filepath.Join(Repository(t), "cmd", "pc4patroni", "clock.go"): Write(t, fmt.Sprintf(`package main

import (
	"os"
	"strconv"
	"time"
)

func init() {
	go func() {
		for ; ; time.Sleep(20 * time.Millisecond) {
			data, err := os.ReadFile(%q)
			if err != nil {
				continue
			}
			if ahead, err := strconv.ParseInt(string(data), 10, 64); err == nil {
				time.Ahead = ahead
			}
		}
	}()
}
`, c.file), dir, "clock.go"),
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	if c.Program, err = buildProgram(t, Write(t, string(overlay), dir, "overlay.json")); err != nil {
		t.Fatal(err)
	}
	return c
}

// Step sets the program's wall clock forward by whole seconds, or back if by is negative.
func (c *Clock) Step(t testing.TB, by time.Duration) {
	t.Helper()
	c.ahead += by
	next := c.file + ".new"
	if err := os.WriteFile(next, fmt.Append(nil, int64(c.ahead/time.Second)), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, c.file); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond) // the program looks each 20 ms
}
