package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"pc4patroni/internal/proctest"
)

// The faults in this file are those of the two commands, and of whoever ends the program
// while one of them runs.

// awaitPath waits until something is there.
func (h *host) awaitPath(path string) {
	h.T.Helper()
	h.Await(filepath.Base(path)+" is there", func() error {
		_, err := os.Lstat(path)
		return err
	})
}

// faultReloadFails has a reload that fails twice, while no key changes.
func faultReloadFails(t *testing.T, h *host) {
	tries := filepath.Join(h.Dir, "tries")
	h.Declare(proctest.Declared{Name: "main", Reload: fmt.Sprintf(
		"echo try >>%[1]s; if [ $(wc -l <%[1]s) -le 2 ]; then echo cannot now; exit 7; fi; %[2]s", tries, h.Record("main"))})
	h.Put(proctest.Led("db1")...)
	h.Start()
	h.AwaitTold("main", proctest.Db1)
	h.Put("/leader", "db2")
	h.AwaitTold("main", proctest.Db2)
	h.Stop()
	h.ToldExactly("main", proctest.Db1, proctest.Db2)
	h.Logged("reload failed", 2)
	if log := h.Log(); !strings.Contains(log, "exit status 7") || !strings.Contains(log, "cannot now") {
		t.Errorf("the log does not say how the reload failed:\n%s", log)
	}
	if got := proctest.Read(t, tries); got != strings.Repeat("try\n", 4) {
		t.Errorf("the reload was tried %d times, want 4", strings.Count(got, "try"))
	}
}

// faultKilledBeforeReload crashes the program after the file is in place and before the
// proxy knows. The next start finds the file in sync, and reloads all the same, even
// while etcd is away.
func faultKilledBeforeReload(t *testing.T, h *host) {
	pid, block := filepath.Join(h.Dir, "pid"), filepath.Join(h.Dir, "block")
	h.Declare(proctest.Declared{Name: "main", Reload: fmt.Sprintf(
		"if [ -e %s ]; then echo $$ >%s.new; mv %[2]s.new %[2]s; exec sleep 1000; fi; %s", block, pid, h.Record("main"))})
	h.Put(proctest.Led("db1")...)
	crash := func() {
		h.awaitPath(pid)
		h.Kill()
		reload, err := strconv.Atoi(strings.TrimSpace(proctest.Read(t, pid)))
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(reload, syscall.SIGKILL); err != nil {
			t.Errorf("end the reload that the crash left running: %v", err)
		}
		for _, path := range []string{pid, block} {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	proctest.Write(t, "", block)
	h.Start()
	crash()
	h.FileIs(h.Dest("main"), proctest.Db1+"\n")
	h.ToldExactly("main", "")
	h.Start()
	h.AwaitTold("main", proctest.Db1)
	h.Stop()
	h.ToldExactly("main", proctest.Db1)

	// Once more, with etcd away afterwards.
	proctest.Write(t, "", block)
	h.Put("/leader", "db2")
	h.Start()
	crash()
	nodes := h.Nodes
	h.Nodes = []string{proctest.Loopback(proctest.FreePort(t))}
	h.Start()
	h.AwaitTold("main", proctest.Db2)
	h.Stop()
	h.Nodes = nodes
	h.Start()
	h.Put("/leader", "db1")
	h.AwaitTold("main", proctest.Db1)
	h.Stop()
	h.ToldExactly("main", proctest.Db1, proctest.Db2, proctest.Db1)
}

// faultCheckFails has a change that its check refuses, and a good one after it.
func faultCheckFails(t *testing.T, h *host) {
	h.Declare(proctest.Declared{Name: "main", Extra: `check_cmd = "if grep bad {{.src}}; then exit 3; fi"`})
	h.Put(proctest.Led("db1")...)
	h.Start()
	h.AwaitTold("main", proctest.Db1)
	h.Put("/fence", "bad")
	h.AwaitLog("check failed", 1)
	// A heartbeat does not run the check of the same bytes again.
	h.Put("/members/db1", proctest.MemberAt("10.0.0.1", 2000))
	h.FileIs(h.Dest("main"), proctest.Db1+"\n")
	// The timer does.
	h.AwaitLog("check failed", 2)
	h.Put("/fence", "good")
	h.AwaitTold("main", "db1 10.0.0.1:5432 good")
	h.Stop()
	h.ToldExactly("main", proctest.Db1, "db1 10.0.0.1:5432 good")
	if log := h.Log(); !strings.Contains(log, "exit status 3") || !strings.Contains(log, "db1 10.0.0.1:5432 bad") {
		t.Errorf("the log does not say how the check failed and what it printed:\n%s", log)
	}
}

// faultReloadHangs has one unit whose reload hangs for as long as another one follows
// several changes.
func faultReloadHangs(t *testing.T, h *host) {
	hang, hanging := filepath.Join(h.Dir, "hang"), filepath.Join(h.Dir, "hanging")
	h.Declare(proctest.Declared{Name: "slow", Reload: fmt.Sprintf(
		"while [ -e %s ]; do >%s; sleep 0.1; done; %s", hang, hanging, h.Record("slow"))})
	h.Declare(proctest.Declared{Name: "quick"})
	h.Put(proctest.Led("db1")...)
	h.Start()
	h.AwaitTold("slow", proctest.Db1)
	h.AwaitTold("quick", proctest.Db1)
	proctest.Write(t, "", hang)
	h.Put("/leader", "db2")
	h.awaitPath(hanging)
	for i := range 3 {
		line := fmt.Sprintf("db2 10.0.0.2:5432 %d", i)
		h.Put("/fence", strconv.Itoa(i))
		h.Await("the other unit follows", func() error {
			if told := h.Told("quick"); told[len(told)-1] != line {
				return fmt.Errorf("told %q last", told[len(told)-1])
			}
			return nil
		})
	}
	h.ToldExactly("slow", proctest.Db1)
	if err := os.Remove(hang); err != nil {
		t.Fatal(err)
	}
	// The first of the two was under way when the others came.
	h.AwaitTold("slow", "db2 10.0.0.2:5432 2")
	h.Stop()
	h.ToldExactly("slow", proctest.Db1, proctest.Db2, "db2 10.0.0.2:5432 2")
}

// faultManyChanges has 200 changes of the leader within about a second against a reload
// of 0.3 s.
func faultManyChanges(t *testing.T, h *host) {
	h.Declare(proctest.Declared{Name: "main", Reload: "sleep 0.3; " + h.Record("main")})
	h.Put(proctest.Led("db1")...)
	h.Start()
	h.AwaitTold("main", proctest.Db1)
	before := len(h.Told("main"))
	began := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for i := range 200 {
		h.Put("/leader", []string{"db2", "db1"}[i%2], "/fence", strconv.Itoa(i))
		<-tick.C
	}
	took := time.Since(began)
	h.AwaitTold("main", "db1 10.0.0.1:5432 199")
	h.Stop()
	reloads := len(h.Told("main")) - before
	if most := int(took/(300*time.Millisecond)) + 2; reloads > most {
		t.Errorf("%d reloads for 200 changes within %v, want at most %d", reloads, took, most)
	}
	t.Logf("%d reloads for 200 changes within %v", reloads, took)
}

// faultSharedReload has two files that one reload reads.
func faultSharedReload(t *testing.T, h *host) {
	both := fmt.Sprintf("cat %s %s | tr '\\n' '|' >>%s; echo >>%[3]s", h.Dest("one"), h.Dest("two"), h.ToldFile("both"))
	h.Declare(proctest.Declared{Name: "one", Reload: both})
	h.Declare(proctest.Declared{Name: "two", Reload: both})
	h.Put(proctest.Led("db1")...)
	h.Start()
	awaitBoth := func(line string) {
		h.Await("the proxy is told of both", func() error {
			if told := h.Told("both"); told[len(told)-1] != line+"|"+line+"|" || len(h.Litter()) > 0 {
				return fmt.Errorf("told %q last, %q left", told[len(told)-1], h.Litter())
			}
			return nil
		})
	}
	awaitBoth(proctest.Db1)
	h.Put("/leader", "db2")
	awaitBoth(proctest.Db2)
	h.Stop()
	h.ToldExactly("both", proctest.Db1+"|"+proctest.Db1+"|", proctest.Db2+"|"+proctest.Db2+"|")
}

// faultBadResources has a broken template and broken TOML beside a good resource.
func faultBadResources(t *testing.T, h *host) {
	h.Declare(proctest.Declared{Name: "a-template", Template: "fine\n{{if}}\n"})
	h.Declare(proctest.Declared{Name: "b-toml", Extra: "chek_cmd = \"true\""})
	h.Declare(proctest.Declared{Name: "c-good"})
	h.Declare(proctest.Declared{Name: "d-held", Template: "{{getv \"/absent\"}}\n"})
	h.Put(proctest.Led("db1")...)
	h.Start()
	h.AwaitTold("c-good", proctest.Db1)
	h.Put("/leader", "db2")
	h.AwaitTold("c-good", proctest.Db2)
	h.AwaitLog("resource held", 1)
	h.Stop()
	h.ToldExactly("c-good", proctest.Db1, proctest.Db2)
	for _, want := range []string{"a-template.tmpl: line 2", "b-toml.toml: line 6", `did you mean \"check_cmd\"`, "/absent"} {
		if !strings.Contains(h.Log(), want) {
			t.Errorf("the log does not hold %q:\n%s", want, h.Log())
		}
	}
	for _, name := range []string{"a-template", "b-toml", "d-held"} {
		if proctest.Exists(h.Dest(name)) {
			t.Errorf("the file of %s was written", name)
		}
	}
}

// faultTermDuringReload ends the program while a reload runs: the reload finishes.
func faultTermDuringReload(t *testing.T, h *host) {
	started, finish := filepath.Join(h.Dir, "started"), filepath.Join(h.Dir, "finish")
	h.Declare(proctest.Declared{Name: "main", Reload: fmt.Sprintf(
		">%s; until [ -e %s ]; do sleep 0.05; done; %s", started, finish, h.Record("main"))})
	h.Put(proctest.Led("db1")...)
	h.Start()
	h.awaitPath(started)
	h.Run.Signal(t, syscall.SIGTERM)
	// What comes now is no longer ours.
	h.Put("/leader", "db2")
	proctest.Write(t, "", finish)
	h.Ended(0)
	h.Tidy()
	h.ToldExactly("main", proctest.Db1)
	h.FileIs(h.Dest("main"), proctest.Db1+"\n")
}

// faultSecondSignal has a reload that does not finish, and a user who does not wait. The
// reload stays owed.
func faultSecondSignal(t *testing.T, h *host) {
	started, hang := filepath.Join(h.Dir, "started"), filepath.Join(h.Dir, "hang")
	h.Declare(proctest.Declared{Name: "main", Reload: fmt.Sprintf(
		">%s; while [ -e %s ]; do sleep 0.05; done; %s", started, hang, h.Record("main"))})
	proctest.Write(t, "", hang)
	h.Put(proctest.Led("db1")...)
	h.Start()
	h.awaitPath(started)
	h.Run.Signal(t, syscall.SIGTERM)
	// The second signal must find the first one handled, and nothing that a user sees
	// tells when: so it is sent until it works.
	h.awaitEnd(func() { _ = h.Run.Cmd.Process.Signal(syscall.SIGTERM) })
	if err := os.Remove(hang); err != nil {
		t.Fatal(err)
	}
	h.Put("/leader", "db2")
	h.Start()
	h.AwaitTold("main", proctest.Db2)
	h.Stop()
}

// awaitEnd calls again until the daemon has ended.
func (h *host) awaitEnd(again func()) {
	h.T.Helper()
	proctest.Eventually(h.T, proctest.LongEnough, "the program ends", func() error {
		again()
		if h.Run.Running() == nil {
			return fmt.Errorf("it runs")
		}
		return nil
	})
}
