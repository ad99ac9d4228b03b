package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pc4patroni/backends/etcd/etcdtest"
)

// TestHangup is about what SIGHUP reads again, beside the resources themselves: those are
// among the faults.
func TestHangup(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers: not with -short")
	}
	builtLikeTest(t)
	shared := etcdtest.Start(t)
	client := dialEtcd(t, shared.URL())
	for _, tt := range []struct {
		name string
		test func(*testing.T, *host)
	}{
		{"settings", hangupSettings},
		{"another etcd", hangupOtherEtcd},
		{"a password", hangupPassword},
		{"nothing usable", hangupUnusable},
		{"during a reload", hangupDuringReload},
		{"many at once", hangupStorm},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.test(t, newHost(t, client, shared.URL()))
		})
	}
}

// startConfigured starts the daemon with everything in its configuration file.
func (h *host) startConfigured(lines ...string) {
	h.t.Helper()
	h.configure(lines...)
	h.run = launch(h.t, h.dir, "pc4patroni", account{}, nil,
		h.program, "-confdir", h.dir, "-config-file", filepath.Join(h.dir, "pc4patroni.toml"))
	h.t.Cleanup(func() {
		if strings.Contains(h.log(), "WARNING: DATA RACE") {
			h.t.Errorf("the race detector found something:\n%s", h.log())
		}
	})
}

// configure writes the configuration file.
func (h *host) configure(lines ...string) {
	h.t.Helper()
	if !strings.Contains(strings.Join(lines, "\n"), "nodes") {
		lines = append(lines, fmt.Sprintf("nodes = [%q]", h.nodes[0]))
	}
	write(h.t, strings.Join(lines, "\n")+"\n", h.dir, "pc4patroni.toml")
}

// hangup has the configuration reloaded, and waits until that is done for the nth time.
func (h *host) hangup(n int) {
	h.t.Helper()
	h.run.signal(h.t, syscall.SIGHUP)
	h.awaitLog(`msg="configuration reloaded"`, n)
}

func hangupSettings(t *testing.T, h *host) {
	h.declare(declared{name: "main"})
	h.put(led("db1")...)
	h.startConfigured(`interval = "1h"`, `log_level = "warn"`)
	h.awaitTold("main", db1)
	h.logged("level=INFO", 0)

	// Nobody looks at the file for an hour, and then every second.
	write(t, "by hand\n", h.dest("main"))
	h.configure(`interval = 1`, `log_level = "info"`, `listen = "127.0.0.1:0"`, `log_format = "json"`, `noop = true`)
	h.hangup(1)
	h.awaitFile("main", db1)
	h.awaitToldTimes("main", 2)
	for _, setting := range []string{"listen", "log-format", "noop"} {
		h.logged("takes effect with a restart only\" setting="+setting, 1)
	}

	// Without reload commands from now on.
	h.configure(`interval = 1`, `log_level = "info"`, `sync_only = true`)
	h.hangup(2)
	h.put("/leader", "db2")
	h.awaitFile("main", db2)
	h.stop()
	h.toldExactly("main", db1, db1)
	// The full read of each interval is no loss.
	h.logged("can no longer be followed", 0)
}

// hangupOtherEtcd moves the program to another etcd.
func hangupOtherEtcd(t *testing.T, h *host) {
	h.declare(declared{name: "main"})
	h.put(led("db1")...)
	h.startConfigured()
	h.awaitTold("main", db1)

	other := etcdtest.Start(t)
	there := &host{t: t, prefix: h.prefix, etcd: dialEtcd(t, other.URL())}
	there.put(led("db2")...)
	h.configure(fmt.Sprintf("nodes = [%q]", other.URL()))
	h.hangup(1)
	h.awaitTold("main", db2)
	// The first one has nothing to say any more.
	h.put("/leader", "db2", "/fence", "1")
	there.put("/leader", "db1")
	h.awaitTold("main", db1)
	h.stop()
	h.toldExactly("main", db1, db2, db1)
}

// hangupPassword changes the password in etcd and then in the configuration file: the
// address of etcd stays the same, the connection must not.
func hangupPassword(t *testing.T, h *host) {
	server := etcdtest.Start(t, etcdtest.WithAuth(), etcdtest.WithTokenTTL(2*time.Second))
	server.AddUser("proxy", "first", h.prefix+"/")
	h.etcd = server.Client()
	h.declare(declared{name: "main"})
	h.put(led("db1")...)
	nodes := fmt.Sprintf("nodes = [%q]", server.URL())
	h.startConfigured(nodes, `username = "proxy"`, `password = "first"`)
	h.awaitTold("main", db1)

	server.SetPassword("proxy", "second")
	h.configure(nodes, `username = "proxy"`, `password = "second"`)
	h.hangup(1)
	h.put("/leader", "db2")
	h.awaitTold("main", db2)
	// Once more with nothing new: the connection stays.
	h.hangup(2)
	h.put("/leader", "db1")
	h.awaitTold("main", db1)
	h.stop()
	h.logged("backend read", 2)
	for _, password := range []string{"first", "second"} {
		if strings.Contains(h.log(), password) {
			t.Errorf("the log holds the password %q", password)
		}
	}
}

// hangupUnusable offers states that cannot be used as a whole. Each is reported, and what
// ran goes on as it was.
func hangupUnusable(t *testing.T, h *host) {
	h.declare(declared{name: "main"})
	h.put(led("db1")...)
	h.startConfigured()
	h.awaitTold("main", db1)
	confDir, aside := filepath.Join(h.dir, "conf.d"), filepath.Join(h.dir, "aside")
	rename := func(from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	// It would be seen if it were used.
	write(t, "new {{getv \"/leader\"}}\n", h.dir, "templates", "main.tmpl")
	for i, tt := range []struct {
		name   string
		lines  []string
		say    string
		change func()
		undo   func()
	}{
		{name: "unknown key", lines: []string{"intervall = 5"}, say: `pc4patroni.toml: line 1: unknown key \"intervall\" (did you mean \"interval\"?)`},
		{name: "no TOML", lines: []string{"interval ="}, say: "pc4patroni.toml: line 1"},
		{name: "no certificate", lines: []string{`client_cert = "nowhere.crt"`, `client_key = "nowhere.key"`}, say: "nowhere.crt"},
		{name: "conf.d gone", say: "conf.d does not exist", change: func() { rename(confDir, aside) }, undo: func() { rename(aside, confDir) }},
		{name: "conf.d empty", say: "there is no file *.toml in", change: func() {
			rename(confDir, aside)
			if err := os.Mkdir(confDir, 0o755); err != nil {
				t.Fatal(err)
			}
		}, undo: func() {
			if err := os.Remove(confDir); err != nil {
				t.Fatal(err)
			}
			rename(aside, confDir)
		}},
	} {
		h.configure(tt.lines...)
		if tt.change != nil {
			tt.change()
		}
		h.run.signal(t, syscall.SIGHUP)
		h.awaitLog("the new configuration cannot be used, the old one stays", i+1)
		if !strings.Contains(h.log(), tt.say) {
			t.Errorf("%s: the log does not say %s", tt.name, tt.say)
		}
		fence := fmt.Sprint(i)
		h.put("/fence", fence)
		h.awaitTold("main", "db1 10.0.0.1:5432 "+fence)
		if tt.undo != nil {
			tt.undo()
		}
	}
	h.configure()
	h.hangup(1)
	h.awaitTold("main", "new db1")
	h.stop()
}

// hangupDuringReload adds a resource while another one's reload runs: that reload is
// neither cut off nor run again. Then it changes the busy one.
func hangupDuringReload(t *testing.T, h *host) {
	started, finish := filepath.Join(h.dir, "started"), filepath.Join(h.dir, "finish")
	slow := declared{name: "slow", reload: fmt.Sprintf("echo x >>%s; until [ -e %s ]; do sleep 0.05; done; %s", started, finish, h.record("slow"))}
	h.declare(slow)
	h.put(led("db1")...)
	h.startConfigured()
	h.await("the reload runs", func() error { _, err := os.Stat(started); return err })
	h.declare(declared{name: "new"})
	h.hangup(1)
	h.await("the new one is told", func() error {
		if told := h.told("new"); told[0] != db1 {
			return fmt.Errorf("told %q", told)
		}
		return nil
	})

	slow.template = "new {{getv \"/leader\"}}\n"
	h.declare(slow)
	h.run.signal(t, syscall.SIGHUP)
	h.awaitLog("reloading the configuration", 2)
	h.put("/leader", "db2")
	h.awaitFile("new", db2)
	if got := read(t, started); got != "x\n" {
		t.Errorf("the reload was begun as %q while it ran", got)
	}
	write(t, "", finish)
	h.awaitLog(`msg="configuration reloaded"`, 2)
	h.awaitTold("slow", "new db2")
	h.awaitTold("new", db2)
	h.stop()
	h.toldExactly("slow", db1, "new db2")
}

// hangupStorm sends signals faster than they can be dealt with, during changes.
func hangupStorm(t *testing.T, h *host) {
	h.declare(declared{name: "main"})
	h.put(led("db1")...)
	h.startConfigured()
	h.awaitTold("main", db1)
	for i := range 100 {
		h.run.signal(t, syscall.SIGHUP)
		h.put("/fence", fmt.Sprint(i))
		if i%10 == 0 {
			write(t, fmt.Sprintf("%d %s", i, lineTemplate), h.dir, "templates", "main.tmpl")
		}
	}
	h.run.signal(t, syscall.SIGHUP)
	h.awaitTold("main", "90 db1 10.0.0.1:5432 99")
	h.stop()
}
