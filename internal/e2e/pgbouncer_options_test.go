package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"pc4patroni/internal/proctest"
)

var sqlOfPage = regexp.MustCompile("(?s)```sql\n(.*?)```")

// testPgBouncerOptions takes every option that the sample offers, does for each what the
// cookbook says, and uses it: users from PostgreSQL, and TLS for clients.
func testPgBouncerOptions(t *testing.T, c *cluster) {
	proctest.Need(t, "pgbouncer", "psql")
	p := c.primary(t)
	match := sqlOfPage.FindStringSubmatch(proctest.Read(t, proctest.Repository(t), "docs/cookbook/pgbouncer.md"))
	if match == nil {
		t.Fatal("the page has no SQL for auth_query")
	}
	if _, err := query(t, asUser(p.PG, "postgres", "app"), match[1]); err != nil {
		t.Fatal(err)
	}

	dir := proctest.WorkDir(t)
	more := edits{}
	tmpl := proctest.Read(t, proctest.Repository(t), "templates/pgbouncer.ini.tmpl")
	_, options, _ := strings.Cut(tmpl, "\n;; Options")
	for line := range strings.Lines(options) {
		if name, _, ok := strings.Cut(line, " ="); ok && name[0] == ';' {
			more["\n"+name] = "\n" + name[1:]
		}
	}
	if len(more) < 5 {
		t.Fatalf("the sample offers only %q", more)
	}
	b := adoptPgBouncer(t, dir, dir, more)
	proctest.Write(t, "\"pgbouncer_auth\" \"secret\"\n\"postgres\" \"console\"\n", b.dir, "userlist.txt")
	ca := newAuthority(t, dir)
	for from, to := range map[string]string{ca.serverCert: "server.crt", ca.serverKey: "server.key"} {
		proctest.Write(t, proctest.Read(t, from), b.dir, to)
		proctest.Owner(t).Give(t, filepath.Join(b.dir, to))
	}
	proctest.Apply(t, 0, "-onetime", "-confdir", dir, "-node", c.etcd.url)

	b.start(t)
	app := as(b.port, "app") + " sslmode=require"
	proctest.Eventually(t, 30*time.Second, "PgBouncer lets the user in whom PostgreSQL knows", func() error {
		return p.answers(t, app)
	})
	if got, err := query(t, as(b.port, "app_ro")+" sslmode=require", whereami); err != nil || !strings.HasPrefix(got, "t|") {
		t.Errorf("a replica answers %q, %v", got, err)
	}
	if _, err := query(t, app+" password=wrong", whereami); err == nil || !strings.Contains(err.Error(), "authentication failed") {
		t.Errorf("a wrong password: %v", err)
	}
	if _, err := query(t, as(b.port, "app")+" sslmode=disable", whereami); err == nil || !strings.Contains(err.Error(), "SSL required") {
		t.Errorf("without TLS: %v", err)
	}
	if got, err := query(t, asUser(p.PG, "postgres", "app"), "select count(*) from pgbouncer.get_auth('postgres')"); err != nil || got != "0" {
		t.Errorf("the function hands out %s secrets of the superuser, %v", got, err)
	}
	if _, err := query(t, as(p.PG, "app"), "select pgbouncer.get_auth('app')"); err == nil {
		t.Error("everybody may read secrets")
	}
}

// testPgBouncerPair runs two processes on one port, which include one file, and gives
// them a list of databases from etcd.
func testPgBouncerPair(t *testing.T, c *cluster) {
	proctest.Need(t, "pgbouncer", "psql")
	dir := proctest.WorkDir(t)
	port := proctest.FreePort(t)
	proctest.Owner(t).Give(t, dir)
	adopt(t, dir, "pgbouncer-include", edits{
		"/etc/pgbouncer/":            dir + "/",
		"systemctl reload pgbouncer": fmt.Sprintf("for pid in %s/*.pid; do test ! -e $pid || kill -HUP $(cat $pid); done", dir),
	})
	c.etcdctl(t, "put", "/service/"+c.scope+"/pgbouncer/databases/shop", "pool_size=3 dbname=app")
	defer c.etcdctl(t, "del", "/service/"+c.scope+"/pgbouncer/databases/shop")
	onetime := func() { proctest.Apply(t, 0, "-onetime", "-confdir", dir, "-node", c.etcd.url) }
	onetime()
	users := proctest.Write(t, fmt.Sprintf("%q %q\n", appUser, appPassword), dir, "userlist.txt")
	for _, name := range []string{"one", "two"} {
		socket := filepath.Join(dir, name)
		if err := os.Mkdir(socket, 0o755); err != nil {
			t.Fatal(err)
		}
		proctest.Owner(t).Give(t, socket)
		ini := proctest.Write(t, fmt.Sprintf(`[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
so_reuseport = 1
unix_socket_dir = %s
pidfile = %s.pid
auth_type = scram-sha-256
auth_file = %s
admin_users = %s
server_login_retry = 0.1
%%include %s/databases.ini
`, port, socket, socket, users, appUser, dir), dir, name+".ini")
		proctest.Launch(t, dir, "pgbouncer-"+name, proctest.Owner(t), nil, "pgbouncer", ini).AwaitPort(t, port)
	}
	everyone := func(want *node, database string) {
		t.Helper()
		for _, name := range []string{"one", "two"} {
			proctest.Eventually(t, 30*time.Second, "process "+name+" leads "+database+" to the primary", func() error {
				return want.answers(t, fmt.Sprintf("host=%s port=%d user=%s dbname=%s", filepath.Join(dir, name), port, appUser, database))
			})
		}
	}
	everyone(c.primary(t), "app")
	everyone(c.primary(t), "shop")
	n := c.switchover(t)
	onetime()
	everyone(n, "app")
	everyone(n, "shop")
}

func asUser(port int, user, database string) string {
	return fmt.Sprintf("host=127.0.0.1 port=%d user=%s dbname=%s connect_timeout=3", port, user, database)
}
