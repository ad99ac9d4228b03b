package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pc4patroni/internal/proctest"
)

// pgbouncer is the sample for PgBouncer, adopted by a test, and where it then is.
type pgbouncer struct {
	dir, ini, pid, reloads string
	port                   int
}

func adoptPgBouncer(t *testing.T, dir, confdir string, more edits) *pgbouncer {
	t.Helper()
	home := filepath.Join(dir, "pgbouncer")
	if err := os.Mkdir(home, 0o755); err != nil {
		t.Fatal(err)
	}
	proctest.Owner(t).Give(t, home)
	p := &pgbouncer{
		dir:     home,
		ini:     filepath.Join(home, "pgbouncer.ini"),
		pid:     filepath.Join(home, "pgbouncer.pid"),
		reloads: filepath.Join(dir, "pgbouncer.reloads"),
		port:    proctest.FreePort(t),
	}
	proctest.Write(t, fmt.Sprintf("%q %q\n%[3]q %[2]q\n", appUser, appPassword, "postgres"), home, "userlist.txt")
	changes := edits{
		"/etc/pgbouncer/":                   home + "/",
		"/var/log/postgresql/pgbouncer.log": filepath.Join(home, "pgbouncer.log"),
		"/var/run/postgresql":               home,
		"listen_addr = *":                   "listen_addr = 127.0.0.1",
		"listen_port = 6432":                fmt.Sprintf("listen_port = %d", p.port),
		// What systemctl does for Debian's unit, and a count of how often.
		`"systemctl reload pgbouncer"`: fmt.Sprintf("%q", p.reload()),
	}
	for before, after := range more {
		changes[before] = after
	}
	adopt(t, confdir, "pgbouncer", changes)
	return p
}

// reload is the command that stands for systemctl's in the tests.
func (p *pgbouncer) reload() string {
	return fmt.Sprintf("echo reload >>%s; if test -s %[2]s; then kill -HUP $(cat %[2]s); fi", p.reloads, p.pid)
}

func (p *pgbouncer) start(t *testing.T) *proctest.Server {
	t.Helper()
	// The name of its own log, which it writes beside what it prints.
	s := proctest.Launch(t, p.dir, "pgbouncer-output", proctest.Owner(t), nil, "pgbouncer", p.ini)
	s.AwaitPort(t, p.port)
	return s
}

// console asks PgBouncer itself.
func (p *pgbouncer) console(t *testing.T, command string) (string, error) {
	t.Helper()
	return query(t, fmt.Sprintf("host=127.0.0.1 port=%d user=postgres dbname=pgbouncer connect_timeout=3", p.port), command)
}

// databases returns the entries as "name|host|port|database", by SHOW DATABASES.
func (p *pgbouncer) databases(t *testing.T) map[string]string {
	t.Helper()
	got, err := p.console(t, "SHOW DATABASES")
	if err != nil {
		t.Fatal(err)
	}
	entries := map[string]string{}
	for line := range strings.Lines(got) {
		columns := strings.Split(strings.TrimSpace(line), "|")
		if len(columns) < 4 {
			t.Fatalf("SHOW DATABASES: unexpected line %q", line)
		}
		entries[columns[0]] = strings.Join(columns[1:4], "|")
	}
	return entries
}

// testPgBouncerStarts has PgBouncer itself read what was rendered, and tell how.
func testPgBouncerStarts(t *testing.T) {
	proctest.Need(t, "pgbouncer", "psql")
	for _, tt := range []struct {
		name, keys, want string
		more             edits
	}{
		{"the sample cluster", "../../../sample/cluster.toml", "10.0.0.2,10.0.0.3|5432|app", nil},
		// PgBouncer has one port for all hosts of an entry, so v6-b, whose port is
		// another than that of the first reader, is left out.
		{"IPv6", "ipv6-tls.toml", "2001:db8::12|6432|app", nil},
		{"no replica", "primary-only.toml", "10.0.0.1|5432|app", nil},
		{"several databases", "odd.toml", "10.0.0.2,10.0.0.4,10.0.0.5|5432|app",
			edits{`list "app"`: `list "other" "app"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := proctest.WorkDir(t)
			p := adoptPgBouncer(t, dir, dir, tt.more)
			proctest.Apply(t, 0, "-onetime", "-confdir", dir, "-file", filepath.Join("testdata", tt.keys))
			p.start(t)
			if got := p.databases(t)["app_ro"]; got != tt.want {
				t.Errorf("PgBouncer read app_ro as %q, want %q, from\n%s", got, tt.want, proctest.Read(t, p.ini))
			}
			log := proctest.Read(t, p.dir, "pgbouncer.log")
			for _, bad := range []string{"ERROR", "WARNING", "FATAL"} {
				if strings.Contains(log, bad) {
					t.Errorf("PgBouncer complains:\n%s", log)
				}
			}
		})
	}
}

// testPgBouncerCheck feeds the sample's check_cmd with templates gone wrong, of which
// PgBouncer would take over a half at a reload.
func testPgBouncerCheck(t *testing.T) {
	for _, tt := range []struct {
		name string
		more edits
		want string // on standard error
	}{
		{"no section for settings", edits{"\n[pgbouncer]\n": "\n"}, "a section is missing"},
		{"no host for writes", edits{"host={{$leader.Host}} ": ""}, "no host and port for writes"},
		{"a line that is no setting", edits{"max_client_conn = 1000": "max_client_conn"}, "PgBouncer would not understand line 20:max_client_conn"},
		{"a password in such a line", edits{"max_client_conn = 1000": "my db = host=h password=secret"}, "line 20:my db = host=h password=..."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := proctest.WorkDir(t)
			p := adoptPgBouncer(t, dir, dir, tt.more)
			proctest.Write(t, "as it was\n", p.ini)
			got := proctest.Apply(t, 1, "-onetime", "-confdir", dir, "-file", "../../sample/cluster.toml")
			if !strings.Contains(got.Stderr, tt.want) {
				t.Errorf("stderr lacks %q:\n%s", tt.want, got.Stderr)
			}
			if now := proctest.Read(t, p.ini); now != "as it was\n" {
				t.Errorf("a file that failed its check was installed:\n%s", now)
			}
			if n := count(t, p.reloads); n != 0 {
				t.Errorf("%d reloads, want none", n)
			}
			names, err := filepath.Glob(filepath.Join(p.dir, ".*"))
			if err != nil || len(names) != 0 {
				t.Errorf("staged files were left behind: %v %v", names, err)
			}
		})
	}
}

// testSwitchover is the program's main job: two proxies, a real cluster, a
// switchover, and each file changed and each proxy told exactly when it must be.
func testSwitchover(t *testing.T, c *cluster) {
	proctest.Need(t, "haproxy", "pgbouncer")
	proctest.NeedRoot(t, "run HAProxy with the sample, which gives root up by itself")
	dir := proctest.WorkDir(t)
	h := adoptHAProxy(t, dir, dir, nil)
	p := adoptPgBouncer(t, dir, dir, nil)
	onetime := func() {
		t.Helper()
		proctest.Apply(t, 0, "-onetime", "-confdir", dir, "-node", c.etcd.url)
	}
	expect := func(haproxy, pgbouncer int) {
		t.Helper()
		if got := [2]int{count(t, h.reloads), count(t, p.reloads)}; got != [2]int{haproxy, pgbouncer} {
			t.Errorf("HAProxy and PgBouncer were reloaded %v times, want %v", got, [2]int{haproxy, pgbouncer})
		}
	}
	reaches := func(n *node) {
		t.Helper()
		proctest.Eventually(t, 30*time.Second, "PgBouncer leads to the primary", func() error {
			return n.answers(t, as(p.port, "app"))
		})
		proctest.Eventually(t, 30*time.Second, "HAProxy leads to the primary", func() error {
			return n.answers(t, as(h.primary, "app"))
		})
		for name, conninfo := range map[string]string{"PgBouncer": as(p.port, "app_ro"), "HAProxy": as(h.replicas, "app")} {
			proctest.Eventually(t, 30*time.Second, name+" leads reads to a replica", func() error {
				got, err := query(t, conninfo, whereami)
				if err == nil && !strings.HasPrefix(got, "t|") {
					err = fmt.Errorf("%q answered, want a replica", got)
				}
				return err
			})
		}
	}

	onetime()
	expect(1, 1)
	proxies := []*proctest.Server{h.start(t), p.start(t)}
	reaches(c.primary(t))

	onetime()
	expect(1, 1)

	cfg, ini := proctest.Read(t, h.cfg), proctest.Read(t, p.ini)
	n := c.switchover(t)
	onetime()
	expect(1, 2)
	if now := proctest.Read(t, h.cfg); now != cfg {
		t.Errorf("a switchover changed haproxy.cfg, which lists all members, to\n%s", now)
	}
	now := proctest.Read(t, p.ini)
	if line := fmt.Sprintf("\n* = host=127.0.0.1 port=%d\n", n.PG); now == ini || !strings.Contains(now, line) {
		t.Errorf("pgbouncer.ini lacks %q:\n%s", line, now)
	}
	reaches(n)

	installed := stat(t, p.ini)
	onetime()
	expect(1, 2)
	if again := stat(t, p.ini); !os.SameFile(installed, again) || !again.ModTime().Equal(installed.ModTime()) {
		t.Error("a third run wrote a file that was in sync")
	}
	for _, s := range proxies {
		if err := s.Running(); err != nil {
			t.Error(err)
		}
	}
}
