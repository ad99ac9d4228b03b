package e2e

import (
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"pc4patroni/internal/proctest"
)

// testStandbySite gives the proxies of a second site their files while its cluster
// follows the first, and wants the same bytes once it is promoted: then nothing has to
// happen in the proxies for it to take writes.
func testStandbySite(t *testing.T) {
	dir := proctest.WorkDir(t)
	names := map[string]string{
		"haproxy":           "etc/haproxy/haproxy.cfg",
		"nginx":             "etc/nginx/stream.d/batman.conf",
		"pgbouncer":         "etc/pgbouncer/pgbouncer.ini",
		"pgbouncer-include": "etc/pgbouncer/databases.ini",
		"libpq-service":     "var/lib/pc4patroni/pg_service.conf",
		"database-url":      "var/lib/pc4patroni/app-database",
	}
	for name := range names {
		adopt(t, dir, name, nil)
	}
	standby := strings.ReplaceAll(proctest.Read(t, proctest.Repository(t), "internal", "check", "clusters", "standby.toml"), "\n\"/", "\n\"/service/batman/")
	render := func(keys string) map[string]string {
		t.Helper()
		proctest.Apply(t, 0, "-onetime", "-sync-only", "-confdir", dir, "-destdir", filepath.Join(dir, "root"),
			"-file", proctest.Write(t, keys, dir, "keys.toml"))
		files := make(map[string]string)
		for name, path := range names {
			files[name] = proctest.Read(t, dir, "root", path)
		}
		return files
	}
	before := render(standby)
	for name, want := range map[string]string{
		"nginx":             "server 10.0.0.1:5432;",
		"pgbouncer":         "\n* = host=10.0.0.1 port=5432\n",
		"pgbouncer-include": "\napp = host=10.0.0.1 port=5432 dbname=app\n",
	} {
		if !strings.Contains(before[name], want) {
			t.Errorf("%s lacks %q:\n%s", name, want, before[name])
		}
	}
	promoted := strings.ReplaceAll(standby, `"role":"standby_leader"`, `"role":"primary"`)
	promoted = strings.Replace(promoted, `"standby_cluster":{"host":"10.1.0.1","port":5432,"primary_slot_name":"site2"},`, "", 1)
	if promoted == standby || strings.Contains(promoted, "standby_cluster") {
		t.Fatal("the standby cluster was not promoted")
	}
	if after := render(promoted); !maps.Equal(before, after) {
		t.Errorf("the promotion changed files from\n%v\nto\n%v", before, after)
	}
}
