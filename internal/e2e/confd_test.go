package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pc4patroni/internal/proctest"
)

// testConfdTemplates renders what users of confd bring along: resource files and
// templates with the constructs of those that come with Patroni, unchanged.
func testConfdTemplates(t *testing.T) {
	dest, confdir := proctest.WorkDir(t), filepath.Join("testdata", "confd")
	proctest.Apply(t, 0, "-onetime", "-confdir", confdir, "-destdir", dest,
		"-file", filepath.Join(confdir, "keys.toml"))
	for _, name := range []string{"haproxy.cfg", "haproxy-citus.cfg", "pgbouncer.ini"} {
		want := proctest.Read(t, confdir, "want", name)
		if diff := cmp.Diff(want, proctest.Read(t, dest, name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if got := stat(t, filepath.Join(dest, "pgbouncer.ini")).Mode().Perm(); got != 0o640 {
		t.Errorf("pgbouncer.ini has mode %v, want 0640", got)
	}
}

// testConfdCommandLine calls the program as Patroni's container image calls confd, by
// that name and with the files where confd has them. A root directory of its own is
// the only way to have an /etc/confd that is not this machine's.
func testConfdCommandLine(t *testing.T) {
	proctest.Need(t, "etcd")
	proctest.NeedRoot(t, "change the root directory")
	dir := proctest.WorkDir(t)
	e := startEtcd(t, dir, nil)
	put(t, e.client(t, nil, "", ""), map[string]string{
		"/service/demo/leader":      "pg1",
		"/service/demo/members/pg1": `{"conn_url":"postgres://10.0.0.1:5432/postgres","state":"running","role":"master"}`,
	})

	root := filepath.Join(dir, "root")
	// Built as a release is: with the race detector it would need libraries, of which there
	// are none below root.
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(root, "bin", "pc4patroni"), "pc4patroni/cmd/pc4patroni")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	if err := os.Symlink("pc4patroni", filepath.Join(root, "bin", "confd")); err != nil {
		t.Fatal(err)
	}
	proctest.Write(t, "log-level = \"debug\"\n", root, "etc", "confd", "confd.toml")
	proctest.Write(t, "[template]\nsrc = \"primary.tmpl\"\ndest = \"/primary\"\nkeys = [\"/\"]\n", root, "etc", "confd", "conf.d", "primary.toml")
	proctest.Write(t, `{{$leader := getv "/leader"}}{{(json (getv (printf "/members/%s" $leader))).conn_url}}`+"\n", root, "etc", "confd", "templates", "primary.tmpl")

	cmd := exec.CommandContext(t.Context(), "/bin/confd", "-prefix=/service/demo", "-interval=10", "-backend", "etcdv3",
		"-node", fmt.Sprintf("http://%s", proctest.Loopback(proctest.FreePort(t))), // nobody there
		"-node", e.url, "-onetime")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	got := proctest.InvokeCmd(t, cmd, nil)
	if got.Code != 0 {
		t.Fatalf("exit status %d\n%s", got.Code, got.Stderr)
	}
	if got, want := proctest.Read(t, root, "primary"), "postgres://10.0.0.1:5432/postgres\n"; got != want {
		t.Errorf("dest holds %q, want %q", got, want)
	}
}
