package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The faults in this file are those of the two commands, and of whoever ends the program
// while one of them runs.

// awaitPath waits until something is there.
func (h *host) awaitPath(path string) {
	h.t.Helper()
	h.await(filepath.Base(path)+" is there", func() error {
		_, err := os.Lstat(path)
		return err
	})
}

// faultReloadFails has a reload that fails twice, while no key changes.
func faultReloadFails(t *testing.T, h *host) {
	tries := filepath.Join(h.dir, "tries")
	h.declare(declared{name: "main", reload: fmt.Sprintf(
		"echo try >>%[1]s; if [ $(wc -l <%[1]s) -le 2 ]; then echo cannot now; exit 7; fi; %[2]s", tries, h.record("main"))})
	h.put(led("db1")...)
	h.start()
	h.awaitTold("main", db1)
	h.put("/leader", "db2")
	h.awaitTold("main", db2)
	h.stop()
	h.toldExactly("main", db1, db2)
	h.logged("reload failed", 2)
	if log := h.log(); !strings.Contains(log, "exit status 7") || !strings.Contains(log, "cannot now") {
		t.Errorf("the log does not say how the reload failed:\n%s", log)
	}
	if got := read(t, tries); got != strings.Repeat("try\n", 4) {
		t.Errorf("the reload was tried %d times, want 4", strings.Count(got, "try"))
	}
}

// faultKilledBeforeReload crashes the program after the file is in place and before the
// proxy knows. The next start finds the file in sync, and reloads all the same, even
// while etcd is away.
func faultKilledBeforeReload(t *testing.T, h *host) {
	pid, block := filepath.Join(h.dir, "pid"), filepath.Join(h.dir, "block")
	h.declare(declared{name: "main", reload: fmt.Sprintf(
		"if [ -e %s ]; then echo $$ >%s.new; mv %[2]s.new %[2]s; exec sleep 1000; fi; %s", block, pid, h.record("main"))})
	h.put(led("db1")...)
	crash := func() {
		h.awaitPath(pid)
		h.kill()
		reload, err := strconv.Atoi(strings.TrimSpace(read(t, pid)))
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
	write(t, "", block)
	h.start()
	crash()
	h.fileIs(h.dest("main"), db1+"\n")
	h.toldExactly("main", "")
	h.start()
	h.awaitTold("main", db1)
	h.stop()
	h.toldExactly("main", db1)

	// Once more, with etcd away afterwards.
	write(t, "", block)
	h.put("/leader", "db2")
	h.start()
	crash()
	nodes := h.nodes
	h.nodes = []string{loopback(freePort(t))}
	h.start()
	h.awaitTold("main", db2)
	h.stop()
	h.nodes = nodes
	h.start()
	h.put("/leader", "db1")
	h.awaitTold("main", db1)
	h.stop()
	h.toldExactly("main", db1, db2, db1)
}

// faultCheckFails has a change that its check refuses, and a good one after it.
func faultCheckFails(t *testing.T, h *host) {
	h.declare(declared{name: "main", extra: `check_cmd = "if grep bad {{.src}}; then exit 3; fi"`})
	h.put(led("db1")...)
	h.start()
	h.awaitTold("main", db1)
	h.put("/fence", "bad")
	h.awaitLog("check failed", 1)
	// A heartbeat does not run the check of the same bytes again.
	h.put("/members/db1", memberAt("10.0.0.1", 2000))
	h.fileIs(h.dest("main"), db1+"\n")
	// The timer does.
	h.awaitLog("check failed", 2)
	h.put("/fence", "good")
	h.awaitTold("main", "db1 10.0.0.1:5432 good")
	h.stop()
	h.toldExactly("main", db1, "db1 10.0.0.1:5432 good")
	if log := h.log(); !strings.Contains(log, "exit status 3") || !strings.Contains(log, "db1 10.0.0.1:5432 bad") {
		t.Errorf("the log does not say how the check failed and what it printed:\n%s", log)
	}
}

// faultReloadHangs has one unit whose reload hangs for as long as another one follows
// several changes.
func faultReloadHangs(t *testing.T, h *host) {
	hang, hanging := filepath.Join(h.dir, "hang"), filepath.Join(h.dir, "hanging")
	h.declare(declared{name: "slow", reload: fmt.Sprintf(
		"while [ -e %s ]; do >%s; sleep 0.1; done; %s", hang, hanging, h.record("slow"))})
	h.declare(declared{name: "quick"})
	h.put(led("db1")...)
	h.start()
	h.awaitTold("slow", db1)
	h.awaitTold("quick", db1)
	write(t, "", hang)
	h.put("/leader", "db2")
	h.awaitPath(hanging)
	for i := range 3 {
		line := fmt.Sprintf("db2 10.0.0.2:5432 %d", i)
		h.put("/fence", strconv.Itoa(i))
		h.await("the other unit follows", func() error {
			if told := h.told("quick"); told[len(told)-1] != line {
				return fmt.Errorf("told %q last", told[len(told)-1])
			}
			return nil
		})
	}
	h.toldExactly("slow", db1)
	if err := os.Remove(hang); err != nil {
		t.Fatal(err)
	}
	// The first of the two was under way when the others came.
	h.awaitTold("slow", "db2 10.0.0.2:5432 2")
	h.stop()
	h.toldExactly("slow", db1, db2, "db2 10.0.0.2:5432 2")
}

// faultManyChanges has 200 changes of the leader within about a second against a reload
// of 0.3 s.
func faultManyChanges(t *testing.T, h *host) {
	h.declare(declared{name: "main", reload: "sleep 0.3; " + h.record("main")})
	h.put(led("db1")...)
	h.start()
	h.awaitTold("main", db1)
	before := len(h.told("main"))
	began := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for i := range 200 {
		h.put("/leader", []string{"db2", "db1"}[i%2], "/fence", strconv.Itoa(i))
		<-tick.C
	}
	took := time.Since(began)
	h.awaitTold("main", "db1 10.0.0.1:5432 199")
	h.stop()
	reloads := len(h.told("main")) - before
	if most := int(took/(300*time.Millisecond)) + 2; reloads > most {
		t.Errorf("%d reloads for 200 changes within %v, want at most %d", reloads, took, most)
	}
	t.Logf("%d reloads for 200 changes within %v", reloads, took)
}

// faultSharedReload has two files that one reload reads.
func faultSharedReload(t *testing.T, h *host) {
	both := fmt.Sprintf("cat %s %s | tr '\\n' '|' >>%s; echo >>%[3]s", h.dest("one"), h.dest("two"), h.toldFile("both"))
	h.declare(declared{name: "one", reload: both})
	h.declare(declared{name: "two", reload: both})
	h.put(led("db1")...)
	h.start()
	awaitBoth := func(line string) {
		h.await("the proxy is told of both", func() error {
			if told := h.told("both"); told[len(told)-1] != line+"|"+line+"|" || len(h.litter()) > 0 {
				return fmt.Errorf("told %q last, %q left", told[len(told)-1], h.litter())
			}
			return nil
		})
	}
	awaitBoth(db1)
	h.put("/leader", "db2")
	awaitBoth(db2)
	h.stop()
	h.toldExactly("both", db1+"|"+db1+"|", db2+"|"+db2+"|")
}

// faultBadResources has a broken template and broken TOML beside a good resource.
func faultBadResources(t *testing.T, h *host) {
	h.declare(declared{name: "a-template", template: "fine\n{{if}}\n"})
	h.declare(declared{name: "b-toml", extra: "chek_cmd = \"true\""})
	h.declare(declared{name: "c-good"})
	h.declare(declared{name: "d-held", template: "{{getv \"/absent\"}}\n"})
	h.put(led("db1")...)
	h.start()
	h.awaitTold("c-good", db1)
	h.put("/leader", "db2")
	h.awaitTold("c-good", db2)
	h.awaitLog("resource held", 1)
	h.stop()
	h.toldExactly("c-good", db1, db2)
	for _, want := range []string{"a-template.tmpl: line 2", "b-toml.toml: line 6", `did you mean \"check_cmd\"`, "/absent"} {
		if !strings.Contains(h.log(), want) {
			t.Errorf("the log does not hold %q:\n%s", want, h.log())
		}
	}
	for _, name := range []string{"a-template", "b-toml", "d-held"} {
		if exists(h.dest(name)) {
			t.Errorf("the file of %s was written", name)
		}
	}
}

// faultTermDuringReload ends the program while a reload runs: the reload finishes.
func faultTermDuringReload(t *testing.T, h *host) {
	started, finish := filepath.Join(h.dir, "started"), filepath.Join(h.dir, "finish")
	h.declare(declared{name: "main", reload: fmt.Sprintf(
		">%s; until [ -e %s ]; do sleep 0.05; done; %s", started, finish, h.record("main"))})
	h.put(led("db1")...)
	h.start()
	h.awaitPath(started)
	h.run.signal(t, syscall.SIGTERM)
	// What comes now is no longer ours.
	h.put("/leader", "db2")
	write(t, "", finish)
	h.ended(0)
	h.tidy()
	h.toldExactly("main", db1)
	h.fileIs(h.dest("main"), db1+"\n")
}

// faultSecondSignal has a reload that does not finish, and a user who does not wait. The
// reload stays owed.
func faultSecondSignal(t *testing.T, h *host) {
	started, hang := filepath.Join(h.dir, "started"), filepath.Join(h.dir, "hang")
	h.declare(declared{name: "main", reload: fmt.Sprintf(
		">%s; while [ -e %s ]; do sleep 0.05; done; %s", started, hang, h.record("main"))})
	write(t, "", hang)
	h.put(led("db1")...)
	h.start()
	h.awaitPath(started)
	h.run.signal(t, syscall.SIGTERM)
	// The second signal must find the first one handled, and nothing that a user sees
	// tells when: so it is sent until it works.
	h.awaitEnd(func() { _ = h.run.cmd.Process.Signal(syscall.SIGTERM) })
	if err := os.Remove(hang); err != nil {
		t.Fatal(err)
	}
	h.put("/leader", "db2")
	h.start()
	h.awaitTold("main", db2)
	h.stop()
}

// awaitEnd calls again until the daemon has ended.
func (h *host) awaitEnd(again func()) {
	h.t.Helper()
	eventually(h.t, longEnough, "the program ends", func() error {
		again()
		if h.run.running() == nil {
			return fmt.Errorf("it runs")
		}
		return nil
	})
}
