package e2e

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"pc4patroni/internal/proctest"
)

// testPgBouncerCheckAgrees puts odd lines into the file, and wants the sample's check_cmd
// to refuse those that PgBouncer itself does not start with, and to print them.
func testPgBouncerCheckAgrees(t *testing.T) {
	proctest.Need(t, "pgbouncer")
	included := proctest.Write(t, "[databases]\nelsewhere = host=10.0.0.9\n", proctest.WorkDir(t), "more.ini")
	for _, line := range []string{
		"a=host=10.0.0.1",
		"  b = host=10.0.0.1",
		"\tc = host=10.0.0.1",
		"d =",
		"e=",
		"a.b-c_d* = host=10.0.0.1",
		"  ; a comment",
		"\t# a comment",
		"   ",
		"[users]\n[databases]",
		"  [databases] ",
		"%include " + included,
		"  %include " + included,
		"%include",
		"%includ " + included,
		"nonsense",
		"two words = host=10.0.0.1",
		`"quoted" = host=10.0.0.1`,
		"ü = host=10.0.0.1",
		"a+b = host=10.0.0.1",
		"a@b = host=10.0.0.1",
		"[databases] x",
		"[databases",
		"[ databases ]",
		"[nosuch]\n[databases]",
	} {
		t.Run(line, func(t *testing.T) {
			dir := proctest.WorkDir(t)
			p := adoptPgBouncer(t, dir, dir, edits{"\n;; Reads\n": "\n" + line + "\n;; Reads\n"})
			args := []string{"-onetime", "-confdir", dir, "-file", "../../sample/cluster.toml"}
			got := proctest.Invoke(t, nil, append([]string{proctest.Binary(t)}, args...)...)
			refused := strings.Contains(got.Stderr, "PgBouncer would not understand line ")
			if first, _, _ := strings.Cut(line, "\n"); refused && !strings.Contains(got.Stderr, fmt.Sprintf("%.12s", strings.ReplaceAll(first, `"`, `\"`))) {
				t.Errorf("the line is not printed:\n%s", got.Stderr)
			}
			if !refused && got.Code != 0 {
				t.Fatalf("exit status %d:\n%s", got.Code, got.Stderr)
			}

			// What PgBouncer makes of the same file, without the check.
			sample := filepath.Join(dir, "conf.d", "pgbouncer.toml")
			proctest.Write(t, strings.Replace(proctest.Read(t, sample), "check_cmd = '''\n", "check_cmd = '''\nexit 0\n", 1), sample)
			proctest.Apply(t, 0, args...)
			s := proctest.Launch(t, p.dir, "pgbouncer-output", proctest.Owner(t), nil, "pgbouncer", p.ini)
			started := false
			proctest.Eventually(t, 10*time.Second, "PgBouncer starts or gives up", func() error {
				if s.Running() != nil {
					return nil
				}
				err := proctest.Dial(p.port)
				started = err == nil
				return err
			})
			if started == refused {
				t.Errorf("PgBouncer starts: %v; the check refuses: %v\n%s%s", started, refused, got.Stderr, proctest.Tail(s.Log, 5))
			}
		})
	}
}

// testPgBouncerInclude gives a PgBouncer that is in use the file to include. Its settings
// and its other databases must stay as they are, at the start and at each change.
func testPgBouncerInclude(t *testing.T) {
	proctest.Need(t, "pgbouncer", "psql")
	dir := proctest.WorkDir(t)
	p := adoptPgBouncer(t, dir, dir, nil)
	own := fmt.Sprintf(`[databases]
app = host=10.9.9.9
other = host=10.9.9.8 pool_size=7
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
admin_users = postgres
max_client_conn = 77
pidfile = %s
%%include %s/databases.ini
`, p.port, p.pid, p.dir)
	proctest.Write(t, own, p.ini)
	confdir := filepath.Join(dir, "include")
	adopt(t, confdir, "pgbouncer-include", edits{
		"/etc/pgbouncer/":              p.dir + "/",
		`"systemctl reload pgbouncer"`: fmt.Sprintf("%q", p.reload()),
	})
	keys := func(leader string) string {
		text := proctest.Read(t, proctest.Repository(t), "sample", "cluster.toml")
		return proctest.Write(t, strings.Replace(text, `"/service/batman/leader" = "db1"`, fmt.Sprintf(`"/service/batman/leader" = %q`, leader), 1), dir, "keys.toml")
	}
	databases := func(app, reads string) {
		t.Helper()
		proctest.Eventually(t, 10*time.Second, "PgBouncer has read the file", func() error {
			got := p.databases(t)
			if got["app"] != app || got["app_ro"] != reads || got["other"] != "10.9.9.8|5432|other" {
				return fmt.Errorf("the databases are %v", got)
			}
			return nil
		})
		config, err := p.console(t, "SHOW CONFIG")
		if err != nil || !strings.Contains(config, "max_client_conn|77|") {
			t.Errorf("its own settings are gone (%v):\n%s", err, config)
		}
	}

	proctest.Apply(t, 0, "-onetime", "-confdir", confdir, "-file", keys("db1"))
	p.start(t)
	databases("10.0.0.1|5432|app", "10.0.0.2,10.0.0.3|5432|app")
	proctest.Apply(t, 0, "-onetime", "-confdir", confdir, "-file", keys("db2"))
	databases("10.0.0.2|5432|app", "10.0.0.3|5432|app")
	if now := proctest.Read(t, p.ini); now != own {
		t.Errorf("pgbouncer.ini was changed to\n%s", now)
	}
}

var firstFile = regexp.MustCompile("(?s)`/etc/pc4patroni/(conf\\.d/[a-z-]+\\.toml)`:\n\n```toml\n(.*?)```.*?`/etc/pc4patroni/(templates/[a-z.-]+)`:\n\n```\n(.*?)```")

// TestReadmeFirstFile does what the README tells a newcomer to do. The file must be one
// that a PgBouncer in use can include: databases and nothing else.
func TestReadmeFirstFile(t *testing.T) {
	text := proctest.Read(t, proctest.Repository(t), "README.md")
	first := firstFile.FindStringSubmatch(text)
	if first == nil {
		t.Fatal("the README shows no resource file with its template")
	}
	dir, root := proctest.WorkDir(t), proctest.WorkDir(t)
	proctest.Write(t, strings.Replace(first[2], "systemctl reload pgbouncer", "true", 1), dir, first[1])
	proctest.Write(t, first[4], dir, first[3])
	proctest.Apply(t, 0, "-onetime", "-confdir", dir, "-file", "../../sample/cluster.toml", "-destdir", root)
	dest := destKey.FindStringSubmatch(first[2])[1]
	if got, want := proctest.Read(t, root, dest), "[databases]\napp = host=10.0.0.1 port=5432 dbname=app\n"; got != want {
		t.Errorf("%s is %q, want %q", dest, got, want)
	}
	if !strings.Contains(text, "%include "+dest) || strings.HasSuffix(dest, "/pgbouncer.ini") {
		t.Errorf("the README does not say how PgBouncer includes %s", dest)
	}
}
