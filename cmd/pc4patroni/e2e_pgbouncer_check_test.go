package main_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// testPgBouncerCheckAgrees puts odd lines into the file, and wants the sample's check_cmd
// to refuse those that PgBouncer itself does not start with, and to print them.
func testPgBouncerCheckAgrees(t *testing.T) {
	need(t, "pgbouncer")
	included := write(t, "[databases]\nelsewhere = host=10.0.0.9\n", workDir(t), "more.ini")
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
			dir := workDir(t)
			p := adoptPgBouncer(t, dir, dir, edits{"\n;; Reads\n": "\n" + line + "\n;; Reads\n"})
			args := []string{"-onetime", "-confdir", dir, "-file", "../../sample/cluster.toml"}
			got := invoke(t, nil, append([]string{binary(t)}, args...)...)
			refused := strings.Contains(got.stderr, "PgBouncer would not understand line ")
			if first, _, _ := strings.Cut(line, "\n"); refused && !strings.Contains(got.stderr, fmt.Sprintf("%.12s", strings.ReplaceAll(first, `"`, `\"`))) {
				t.Errorf("the line is not printed:\n%s", got.stderr)
			}
			if !refused && got.code != 0 {
				t.Fatalf("exit status %d:\n%s", got.code, got.stderr)
			}

			// What PgBouncer makes of the same file, without the check.
			sample := filepath.Join(dir, "conf.d", "pgbouncer.toml")
			write(t, strings.Replace(read(t, sample), "check_cmd = '''\n", "check_cmd = '''\nexit 0\n", 1), sample)
			apply(t, 0, args...)
			s := launch(t, p.dir, "pgbouncer-output", owner(t), nil, "pgbouncer", p.ini)
			started := false
			eventually(t, 10*time.Second, "PgBouncer starts or gives up", func() error {
				if s.running() != nil {
					return nil
				}
				err := dial(p.port)
				started = err == nil
				return err
			})
			if started == refused {
				t.Errorf("PgBouncer starts: %v; the check refuses: %v\n%s%s", started, refused, got.stderr, tail(s.log, 5))
			}
		})
	}
}

// testPgBouncerInclude gives a PgBouncer that is in use the file to include. Its settings
// and its other databases must stay as they are, at the start and at each change.
func testPgBouncerInclude(t *testing.T) {
	need(t, "pgbouncer", "psql")
	dir := workDir(t)
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
	write(t, own, p.ini)
	confdir := filepath.Join(dir, "include")
	adopt(t, confdir, "pgbouncer-include", edits{
		"/etc/pgbouncer/":              p.dir + "/",
		`"systemctl reload pgbouncer"`: fmt.Sprintf("%q", p.reload()),
	})
	keys := func(leader string) string {
		text := read(t, repository(t), "sample", "cluster.toml")
		return write(t, strings.Replace(text, `"/service/batman/leader" = "db1"`, fmt.Sprintf(`"/service/batman/leader" = %q`, leader), 1), dir, "keys.toml")
	}
	databases := func(app, reads string) {
		t.Helper()
		eventually(t, 10*time.Second, "PgBouncer has read the file", func() error {
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

	apply(t, 0, "-onetime", "-confdir", confdir, "-file", keys("db1"))
	p.start(t)
	databases("10.0.0.1|5432|app", "10.0.0.2,10.0.0.3|5432|app")
	apply(t, 0, "-onetime", "-confdir", confdir, "-file", keys("db2"))
	databases("10.0.0.2|5432|app", "10.0.0.3|5432|app")
	if now := read(t, p.ini); now != own {
		t.Errorf("pgbouncer.ini was changed to\n%s", now)
	}
}

var firstFile = regexp.MustCompile("(?s)`/etc/pc4patroni/(conf\\.d/[a-z-]+\\.toml)`:\n\n```toml\n(.*?)```.*?`/etc/pc4patroni/(templates/[a-z.-]+)`:\n\n```\n(.*?)```")

// TestReadmeFirstFile does what the README tells a newcomer to do. The file must be one
// that a PgBouncer in use can include: databases and nothing else.
func TestReadmeFirstFile(t *testing.T) {
	text := read(t, repository(t), "README.md")
	first := firstFile.FindStringSubmatch(text)
	if first == nil {
		t.Fatal("the README shows no resource file with its template")
	}
	dir, root := workDir(t), workDir(t)
	write(t, strings.Replace(first[2], "systemctl reload pgbouncer", "true", 1), dir, first[1])
	write(t, first[4], dir, first[3])
	apply(t, 0, "-onetime", "-confdir", dir, "-file", "../../sample/cluster.toml", "-destdir", root)
	dest := destKey.FindStringSubmatch(first[2])[1]
	if got, want := read(t, root, dest), "[databases]\napp = host=10.0.0.1 port=5432 dbname=app\n"; got != want {
		t.Errorf("%s is %q, want %q", dest, got, want)
	}
	if !strings.Contains(text, "%include "+dest) || strings.HasSuffix(dest, "/pgbouncer.ini") {
		t.Errorf("the README does not say how PgBouncer includes %s", dest)
	}
}
