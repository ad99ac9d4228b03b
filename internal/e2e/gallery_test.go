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

// testGalleryAccepted has every check_cmd of the samples judge what is rendered for the
// sample clusters; nothing is reloaded.
func testGalleryAccepted(t *testing.T) {
	proctest.Need(t, "haproxy", "nginx", "promtool", "psql")
	proctest.NeedRoot(t, "have HAProxy check a chroot")
	dir := proctest.WorkDir(t)
	sampleFiles := "../../sample/cluster.toml"
	for name, reload := range map[string]string{
		"haproxy-sync":       "systemctl reload haproxy",
		"haproxy-citus":      "systemctl reload haproxy",
		"haproxy-namespace":  "systemctl reload haproxy",
		"haproxy-runtime":    "systemctl reload haproxy",
		"pgbouncer-userlist": "systemctl reload pgbouncer",
		"pgpool":             "systemctl restart pgpool2",
		"nginx":              "systemctl reload nginx",
		"libpq-service":      "",
		"database-url":       "systemctl try-restart app",
		"prometheus":         "",
		"clusters":           "",
	} {
		changes := edits{}
		if reload != "" {
			changes[reload] = "true"
		}
		if name == "haproxy-runtime" {
			changes["/var/lib/pc4patroni/haproxy-started"] = filepath.Join(dir, "started")
		} else if strings.HasPrefix(name, "haproxy") {
			changes["/var/lib/pc4patroni/haproxy-state"] = filepath.Join(dir, "state")
		}
		if name == "pgpool" {
			changes["conf=/etc"] = "conf=" + filepath.Join(dir, "root", "etc")
		}
		adopt(t, dir, name, changes)
	}
	root := filepath.Join(dir, "root")
	proctest.Apply(t, 0, "-onetime", "-confdir", dir, "-file", sampleFiles, "-destdir", root)

	for path, want := range map[string][]string{
		"etc/haproxy/sync.cfg": {
			"\nlisten sync\n    bind *:5001\n    balance leastconn\n    option httpchk OPTIONS /sync\n",
			"\n    server j1 [2001:db8::11]:5432 maxconn 100 check port 8008 check-ssl verify none\n",
		},
		"etc/haproxy/citus.cfg": {
			"\n    server 0:coord1 10.0.1.1:5432 maxconn 100 check port 8008\n    server 0:coord2 10.0.1.2:5432 maxconn 100 check port 8008\n\n",
			"\n    server 1:work1a 10.0.1.11:5432 maxconn 100 check port 8008\n    server 1:work1b 10.0.1.12:5432 maxconn 100 check port 8008\n    server 2:work2a 10.0.1.21:5432 maxconn 100 check port 8008\n",
		},
		"var/lib/pc4patroni/app-database": {
			"\nDATABASE_URL=\"postgresql://app@10.0.0.1:5432,10.0.0.2:5432,10.0.0.3:5432/app?target_session_attrs=read-write&connect_timeout=3\"\n",
		},
		"var/lib/pc4patroni/clusters.txt": {
			"\njoker            -     j1               [2001:db8::11]:5432          sync replica   streaming\n",
			"\nshards           2     work2a           10.0.1.21:5432               leader         running\n",
		},
		"var/lib/pc4patroni/prometheus.json": {
			`"__scheme__": "https"`, `"[2001:db8::12]:8008"`, `"10.0.1.21:9187"`,
		},
	} {
		got := anonymous.ReplaceAllString(proctest.Read(t, root, path), "$1 ")
		for _, line := range want {
			if !strings.Contains(got, line) {
				t.Errorf("%s lacks %q:\n%s", path, line, got)
			}
		}
	}
}

// testGallerySwitchover sends clients through the proxies of the samples that route by
// themselves or are told where to, before and after a switchover.
func testGallerySwitchover(t *testing.T, c *cluster) {
	proctest.Need(t, "nginx", "pgpool", "pgbouncer", "haproxy", "psql")
	proctest.NeedRoot(t, "run HAProxy with the sample, which gives root up by itself")
	dir := proctest.WorkDir(t)
	who := proctest.Owner(t)

	writes, reads := proctest.FreePort(t), proctest.FreePort(t)
	nginxHome := filepath.Join(dir, "nginx")
	nginxReloads, nginxPID := filepath.Join(dir, "nginx.reloads"), filepath.Join(nginxHome, "nginx.pid")
	adopt(t, dir, "nginx", edits{
		"/etc/nginx/stream.d/batman.conf": filepath.Join(nginxHome, "stream.d", "batman.conf"),
		"listen 5000":                     "listen " + proctest.Loopback(writes),
		"listen 5001":                     "listen " + proctest.Loopback(reads),
		`"systemctl reload nginx"`:        fmt.Sprintf("%q", fmt.Sprintf("echo reload >>%s; if test -s %[2]s; then kill -HUP $(cat %[2]s); fi", nginxReloads, nginxPID)),
	})
	nginxConf := proctest.Write(t, fmt.Sprintf("daemon off;\npid %s;\nerror_log stderr;\ninclude /etc/nginx/modules-enabled/*.conf;\nevents {}\nstream { include %s/stream.d/*.conf; }\n", nginxPID, nginxHome), nginxHome, "nginx.conf")

	pool := adoptPgpool(t, dir, dir)
	service := filepath.Join(dir, "pg_service.conf")
	adopt(t, dir, "libpq-service", edits{"/var/lib/pc4patroni/pg_service.conf": service})

	p := adoptPgBouncer(t, dir, dir, nil)
	if err := os.Remove(filepath.Join(p.dir, "userlist.txt")); err != nil {
		t.Fatal(err)
	}
	adopt(t, dir, "pgbouncer-userlist", edits{
		"/etc/pgbouncer/":              p.dir + "/",
		`"systemctl reload pgbouncer"`: fmt.Sprintf("%q", p.reload()),
		`"postgres"`:                   fmt.Sprintf(`"%d"`, who.Gid),
	})
	secret, err := query(t, superuser(c.primary(t).PG), "select rolpassword from pg_authid where rolname = '"+appUser+"'")
	if err != nil {
		t.Fatal(err)
	}
	put(t, c.etcd.client(t, nil, "", ""), map[string]string{"/pgbouncer/batman/users/" + appUser: secret})

	// To Pgpool-II a volatile function might write, and each of whereami's is volatile.
	c.sql(t, c.primary(t).PG, "create function stable_whereami() returns text stable language sql as $$ select concat_ws('|', pg_is_in_recovery(), inet_server_port()) $$")

	onetime := func() { t.Helper(); proctest.Apply(t, 0, "-onetime", "-confdir", dir, "-node", c.etcd.url) }
	routes := func(n *node) {
		t.Helper()
		for name, conninfo := range map[string]string{
			"nginx":     as(writes, "app"),
			"PgBouncer": as(p.port, "app"),
			"libpq":     "service=batman user=" + appUser + " dbname=app",
		} {
			proctest.Eventually(t, 30*time.Second, name+" leads to the primary", func() error { return n.answers(t, conninfo, "PGSERVICEFILE="+service) })
		}
		for name, conninfo := range map[string]string{
			"nginx":     as(reads, "app"),
			"PgBouncer": as(p.port, "app_ro"),
			"libpq":     "service=batman_ro user=" + appUser + " dbname=app",
			"Pgpool-II": pool.conninfo(),
		} {
			proctest.Eventually(t, 30*time.Second, name+" leads reads to a replica", func() error {
				statement := whereami
				if name == "Pgpool-II" {
					statement = "select stable_whereami()"
				}
				got, err := query(t, conninfo, statement, "PGSERVICEFILE="+service)
				if err == nil && !strings.HasPrefix(got, "t|") {
					err = fmt.Errorf("%q answered, want a replica", got)
				}
				return err
			})
		}
		proctest.Eventually(t, 30*time.Second, "Pgpool-II leads writes to the primary", func() error {
			// What may write is no read for Pgpool-II, so it goes to the primary.
			got, err := query(t, pool.conninfo(), "create temp table t as "+whereami+"; select * from t")
			if want := fmt.Sprintf("f|%d", n.PG); err == nil && got != want {
				err = fmt.Errorf("%q answered, want %q", got, want)
			}
			return err
		})
	}

	onetime()
	if n := count(t, p.reloads); n != 1 {
		t.Errorf("%d reloads of PgBouncer for two files of one unit, want 1", n)
	}
	proctest.Launch(t, nginxHome, "nginx", proctest.Account{}, nil, "nginx", "-c", nginxConf, "-e", "stderr").AwaitPort(t, writes)
	p.start(t)
	running := pool.start(t)
	routes(c.primary(t))

	n := c.switchover(t)
	onetime()
	if got := []int{count(t, nginxReloads), count(t, p.reloads), count(t, pool.restarts)}; got[0] != 2 || got[1] != 2 || got[2] != 2 {
		t.Errorf("nginx, PgBouncer and Pgpool-II were reloaded %v times, want 2 each", got)
	}
	running.Stop(t)
	pool.start(t)
	routes(n)

	onetime()
	if got := []int{count(t, nginxReloads), count(t, p.reloads), count(t, pool.restarts)}; got[0] != 2 || got[1] != 2 || got[2] != 2 {
		t.Errorf("a run without a change reloaded something: %v", got)
	}
}
