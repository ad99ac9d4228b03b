package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pc4patroni/backends/etcd/etcdtest"

	"pc4patroni/internal/proctest"
)

// TestHangup is about what SIGHUP reads again, beside the resources themselves: those are
// among the faults.
func TestHangup(t *testing.T) {
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
	h.T.Helper()
	h.configure(lines...)
	h.Run = proctest.Launch(h.T, h.Dir, "pc4patroni", proctest.Account{}, nil,
		h.Program, "-confdir", h.Dir, "-config-file", filepath.Join(h.Dir, "pc4patroni.toml"))
	h.T.Cleanup(func() {
		if strings.Contains(h.Log(), "WARNING: DATA RACE") {
			h.T.Errorf("the race detector found something:\n%s", h.Log())
		}
	})
}

// configure writes the configuration file.
func (h *host) configure(lines ...string) {
	h.T.Helper()
	if !strings.Contains(strings.Join(lines, "\n"), "nodes") {
		lines = append(lines, fmt.Sprintf("nodes = [%q]", h.Nodes[0]))
	}
	proctest.Write(h.T, strings.Join(lines, "\n")+"\n", h.Dir, "pc4patroni.toml")
}

// hangup has the configuration reloaded, and waits until that is done for the nth time.
func (h *host) hangup(n int) {
	h.T.Helper()
	h.Run.Signal(h.T, syscall.SIGHUP)
	h.AwaitLog(`msg="configuration reloaded"`, n)
}

func hangupSettings(t *testing.T, h *host) {
	h.Declare(proctest.Declared{Name: "main"})
	h.Put(proctest.Led("db1")...)
	h.startConfigured(`interval = "1h"`, `log_level = "warn"`)
	h.AwaitTold("main", proctest.Db1)
	h.Logged("level=INFO", 0)

	// Nobody looks at the file for an hour, and then every second.
	proctest.Write(t, "by hand\n", h.Dest("main"))
	h.configure(`interval = 1`, `log_level = "info"`, `listen = "127.0.0.1:0"`, `log_format = "json"`, `noop = true`)
	h.hangup(1)
	h.AwaitFile("main", proctest.Db1)
	h.AwaitToldTimes("main", 2)
	for _, setting := range []string{"listen", "log-format", "noop"} {
		h.Logged("takes effect after a restart only\" setting="+setting, 1)
	}

	// Without reload commands from now on.
	h.configure(`interval = 1`, `log_level = "info"`, `sync_only = true`)
	h.hangup(2)
	h.Put("/leader", "db2")
	h.AwaitFile("main", proctest.Db2)
	h.Stop()
	h.ToldExactly("main", proctest.Db1, proctest.Db1)
	// The full read of each interval is no loss.
	h.Logged("backend cannot be read", 0)
}

// hangupOtherEtcd moves the program to another etcd.
func hangupOtherEtcd(t *testing.T, h *host) {
	h.Declare(proctest.Declared{Name: "main"})
	h.Put(proctest.Led("db1")...)
	h.startConfigured()
	h.AwaitTold("main", proctest.Db1)

	other := etcdtest.Start(t)
	there := &host{&proctest.Host{T: t, Prefix: h.Prefix, Etcd: proctest.DialEtcd(t, other.URL())}}
	there.Put(proctest.Led("db2")...)
	h.configure(fmt.Sprintf("nodes = [%q]", other.URL()))
	h.hangup(1)
	h.AwaitTold("main", proctest.Db2)
	// The first one has nothing to say any more.
	h.Put("/leader", "db2", "/fence", "1")
	there.Put("/leader", "db1")
	h.AwaitTold("main", proctest.Db1)
	h.Stop()
	h.ToldExactly("main", proctest.Db1, proctest.Db2, proctest.Db1)
}

// hangupPassword changes the password in etcd and then in the configuration file: the
// address of etcd stays the same, the connection must not.
func hangupPassword(t *testing.T, h *host) {
	server := etcdtest.Start(t, etcdtest.WithAuth(), etcdtest.WithTokenTTL(2*time.Second))
	server.AddUser("proxy", "first", h.Prefix+"/")
	h.Etcd = server.Client()
	h.Declare(proctest.Declared{Name: "main"})
	h.Put(proctest.Led("db1")...)
	nodes := fmt.Sprintf("nodes = [%q]", server.URL())
	h.startConfigured(nodes, `username = "proxy"`, `password = "first"`)
	h.AwaitTold("main", proctest.Db1)

	server.SetPassword("proxy", "second")
	h.configure(nodes, `username = "proxy"`, `password = "second"`)
	h.hangup(1)
	h.Put("/leader", "db2")
	h.AwaitTold("main", proctest.Db2)
	// Once more with nothing new: the connection stays.
	h.hangup(2)
	h.Put("/leader", "db1")
	h.AwaitTold("main", proctest.Db1)
	h.Stop()
	h.Logged("backend read", 2)
	for _, password := range []string{"first", "second"} {
		if strings.Contains(h.Log(), password) {
			t.Errorf("the log holds the password %q", password)
		}
	}
}

// hangupUnusable offers states that cannot be used as a whole. Each is reported, and what
// ran goes on as it was.
func hangupUnusable(t *testing.T, h *host) {
	h.Declare(proctest.Declared{Name: "main"})
	h.Put(proctest.Led("db1")...)
	h.startConfigured()
	h.AwaitTold("main", proctest.Db1)
	confDir, aside := filepath.Join(h.Dir, "conf.d"), filepath.Join(h.Dir, "aside")
	rename := func(from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	// It would be seen if it were used.
	proctest.Write(t, "new {{getv \"/leader\"}}\n", h.Dir, "templates", "main.tmpl")
	for i, tt := range []struct {
		name   string
		lines  []string
		say    string
		change func()
		undo   func()
	}{
		{name: "unknown key", lines: []string{"intervall = 5"}, say: `pc4patroni.toml: line 1: unknown key \"intervall\" (did you mean \"interval\"?)`},
		{name: "no TOML", lines: []string{"interval ="}, say: "pc4patroni.toml: line 1"},
		{name: "no certificate", lines: []string{`client_cert = "nowhere.crt"`, `client_key = "nowhere.key"`}, say: "client-cert is set"},
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
		h.Run.Signal(t, syscall.SIGHUP)
		h.AwaitLog("new configuration rejected, the old one stays in use", i+1)
		if !strings.Contains(h.Log(), tt.say) {
			t.Errorf("%s: the log does not say %s", tt.name, tt.say)
		}
		fence := fmt.Sprint(i)
		h.Put("/fence", fence)
		h.AwaitTold("main", "db1 10.0.0.1:5432 "+fence)
		if tt.undo != nil {
			tt.undo()
		}
	}
	h.configure()
	h.hangup(1)
	h.AwaitTold("main", "new db1")
	h.Stop()
}

// hangupDuringReload adds a resource while another one's reload runs: that reload is
// neither cut off nor run again. Then it changes the busy one.
func hangupDuringReload(t *testing.T, h *host) {
	started, finish := filepath.Join(h.Dir, "started"), filepath.Join(h.Dir, "finish")
	slow := proctest.Declared{Name: "slow", Reload: fmt.Sprintf("echo x >>%s; until [ -e %s ]; do sleep 0.05; done; %s", started, finish, h.Record("slow"))}
	h.Declare(slow)
	h.Put(proctest.Led("db1")...)
	h.startConfigured()
	h.Await("the reload runs", func() error { _, err := os.Stat(started); return err })
	h.Declare(proctest.Declared{Name: "new"})
	h.hangup(1)
	h.Await("the new one is told", func() error {
		if told := h.Told("new"); told[0] != proctest.Db1 {
			return fmt.Errorf("told %q", told)
		}
		return nil
	})

	slow.Template = "new {{getv \"/leader\"}}\n"
	h.Declare(slow)
	h.Run.Signal(t, syscall.SIGHUP)
	h.AwaitLog("reloading the configuration", 2)
	h.Put("/leader", "db2")
	h.AwaitFile("new", proctest.Db2)
	if got := proctest.Read(t, started); got != "x\n" {
		t.Errorf("the reload was begun as %q while it ran", got)
	}
	proctest.Write(t, "", finish)
	h.AwaitLog(`msg="configuration reloaded"`, 2)
	h.AwaitTold("slow", "new db2")
	h.AwaitTold("new", proctest.Db2)
	h.Stop()
	h.ToldExactly("slow", proctest.Db1, "new db2")
}

// hangupStorm sends signals faster than they can be dealt with, during changes.
func hangupStorm(t *testing.T, h *host) {
	h.Declare(proctest.Declared{Name: "main"})
	h.Put(proctest.Led("db1")...)
	h.startConfigured()
	h.AwaitTold("main", proctest.Db1)
	for i := range 100 {
		h.Run.Signal(t, syscall.SIGHUP)
		h.Put("/fence", fmt.Sprint(i))
		if i%10 == 0 {
			proctest.Write(t, fmt.Sprintf("%d %s", i, proctest.LineTemplate), h.Dir, "templates", "main.tmpl")
		}
	}
	h.Run.Signal(t, syscall.SIGHUP)
	h.AwaitTold("main", "90 db1 10.0.0.1:5432 99")
	h.Stop()
}
