package e2e

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pc4patroni/internal/proctest"
)

// toldSamples are those whose file says where reads go. (HAProxy asks Patroni itself,
// which answers 503 for a member with the tag noloadbalance.)
var toldSamples = map[string]struct {
	dest  string
	reads string // matches the places for reads, in a group
}{
	"pgbouncer":     {"etc/pgbouncer/pgbouncer.ini", `(?m)^app_ro = host=(\S+)`},
	"libpq-service": {"var/lib/pc4patroni/pg_service.conf", `(?s)_ro\]\nhost=(\S+)`},
	"database-url":  {"var/lib/pc4patroni/app-database", `URL_READS="postgresql://app@([^/]+)`},
	"nginx":         {"etc/nginx/stream.d/batman.conf", `(?s)_replicas \{(.*?)\n\}`},
	"pgpool":        {"etc/pgpool2/pgpool.conf", `(?m)^backend_hostname\d+ = '(\S+)'\n.*\nbackend_weight\d+ = 1$`},
}

// TestReadsAvoidTagged renders every sample that names the replicas to read from for a
// cluster with a delayed replica.
func TestReadsAvoidTagged(t *testing.T) {
	dir, root := proctest.WorkDir(t), proctest.WorkDir(t)
	for name := range toldSamples {
		adopt(t, dir, name, nil)
	}
	proctest.Apply(t, 0, "-onetime", "-sync-only", "-confdir", dir, "-file", filepath.Join("testdata", "delayed.toml"), "-destdir", root)
	for name, sample := range toldSamples {
		got := proctest.Read(t, root, sample.dest)
		reads := regexp.MustCompile(sample.reads).FindStringSubmatch(got)
		if reads == nil || !strings.Contains(reads[1], "10.0.0.3") || strings.Contains(reads[1], "10.0.0.2") {
			t.Errorf("%s: reads go to %q, want 10.0.0.3 and not the delayed 10.0.0.2, in\n%s", name, reads, got)
		}
	}
}

// TestPrimaryWithoutLockHeld lets the keys of a primary expire that may serve on: samples
// that list members must go on naming it.
func TestPrimaryWithoutLockHeld(t *testing.T) {
	for name, dest := range map[string]string{
		"libpq-service": "var/lib/pc4patroni/pg_service.conf",
		"database-url":  "var/lib/pc4patroni/app-database",
		"haproxy":       "etc/haproxy/haproxy.cfg",
		"haproxy-sync":  "etc/haproxy/sync.cfg",
		"haproxy-citus": "etc/haproxy/citus.cfg",
	} {
		t.Run(name, func(t *testing.T) {
			if strings.HasPrefix(name, "haproxy") {
				proctest.Need(t, "haproxy")
				proctest.NeedRoot(t, "have HAProxy check a chroot")
			}
			prefix := regexp.MustCompile(`prefix = "([^"]+)"`).FindStringSubmatch(proctest.Read(t, proctest.Repository(t), "conf.d", name+".toml"))[1]
			if name == "haproxy-citus" {
				prefix += "/0"
			}
			for _, config := range []string{`{"failsafe_mode":true}`, `{"pause":true}`} {
				dir, root := proctest.WorkDir(t), proctest.WorkDir(t)
				adopt(t, dir, name, nil)
				render := func(status int, keys string) proctest.Outcome {
					t.Helper()
					keys = strings.ReplaceAll(keys, "/service/batman/", prefix+"/")
					return proctest.Apply(t, status, "-onetime", "-sync-only", "-confdir", dir, "-file", proctest.Write(t, keys, dir, "keys.toml"), "-destdir", root)
				}
				keys := fmt.Sprintf("\"/service/batman/config\" = '%s'\n%s", config, memberKey("db2", "10.0.0.2:5432", "http://10.0.0.2:8008"))
				primary := "\"/service/batman/leader\" = \"db1\"\n" + memberKey("db1", "10.0.0.1:5432", "http://10.0.0.1:8008")
				render(0, keys+primary)
				before := proctest.Read(t, root, dest)
				got := render(1, keys)
				if want := "its primary may serve on"; !strings.Contains(got.Stderr, want) {
					t.Errorf("%s: stderr lacks %q:\n%s", config, want, got.Stderr)
				}
				if after := proctest.Read(t, root, dest); after != before {
					t.Errorf("%s: a primary that may be alive was dropped:\n%s", config, after)
				}
			}
		})
	}
}

// testReadsThroughLibpq tags the replica that libpq would find first, and has psql read
// by both samples for it.
func testReadsThroughLibpq(t *testing.T, c *cluster) {
	proctest.Need(t, "psql")
	dir, keys := proctest.WorkDir(t), filepath.Join(proctest.WorkDir(t), "keys.json")
	service, env := filepath.Join(dir, "pg_service.conf"), filepath.Join(dir, "env")
	adopt(t, dir, "libpq-service", edits{"/var/lib/pc4patroni/pg_service.conf": service})
	adopt(t, dir, "database-url", edits{"/var/lib/pc4patroni/app-database": env, "systemctl try-restart app": "true"})
	proctest.Apply(t, 0, "-dump", keys, "-prefix", "/service/"+c.scope, "-node", c.etcd.url)
	leader := c.primary(t)
	var tagged *node
	for _, n := range c.nodes {
		if n.Name != leader.Name {
			tagged = n
			break
		}
	}
	dump, key := proctest.Read(t, keys), fmt.Sprintf(`"/service/%s/members/%s": "{`, c.scope, tagged.Name)
	if !strings.Contains(dump, key) {
		t.Fatalf("the dump has no %s:\n%s", key, dump)
	}
	proctest.Write(t, strings.Replace(dump, key, key+`\"tags\":{\"noloadbalance\":true},`, 1), keys)
	proctest.Apply(t, 0, "-onetime", "-confdir", dir, "-file", keys)

	url := regexp.MustCompile(`URL_READS="([^"]+)"`).FindStringSubmatch(proctest.Read(t, env))
	if url == nil {
		t.Fatalf("no URL for reads in\n%s", proctest.Read(t, env))
	}
	for _, conninfo := range []string{"service=" + c.scope + "_ro user=" + appUser + " dbname=app", url[1]} {
		got, err := query(t, conninfo, whereami, "PGSERVICEFILE="+service)
		if err != nil || !strings.HasPrefix(got, "t|") || got == fmt.Sprintf("t|%d", tagged.PG) {
			t.Errorf("%s: %q answered (%v), want a replica, and not %s at %d", conninfo, got, err, tagged.Name, tagged.PG)
		}
	}
}
