package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pc4patroni/internal/proctest"
)

// TestImage builds the container image and renders a file in it, as its plain user.
func TestImage(t *testing.T) {
	proctest.Need(t, "buildah")
	proctest.NeedRoot(t, "to run a container without a container engine")
	dir := proctest.WorkDir(t)
	// vfs and chroot also work inside a container.
	options := []string{"--storage-driver", "vfs", "--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run")}
	buildah := func(args ...string) proctest.Outcome {
		t.Helper()
		out := proctest.Invoke(t, nil, append(append([]string{"buildah"}, options...), args...)...)
		if out.Code != 0 {
			t.Fatalf("buildah %s: status %d\n%s%s", args, out.Code, out.Stdout, out.Stderr)
		}
		return out
	}
	script := filepath.Join(proctest.Repository(t), "packaging", "build-image")
	if out := proctest.Invoke(t, append(os.Environ(), "BUILDER=buildah "+strings.Join(options, " ")), script, "pc4patroni:test"); out.Code != 0 {
		t.Fatalf("build-image: status %d\n%s%s", out.Code, out.Stdout, out.Stderr)
	}

	site := filepath.Join(dir, "site")
	proctest.Write(t, "\"/service/batman/leader\" = \"db1\"\n"+
		`"/service/batman/members/db1" = '{"conn_url":"postgres://10.0.0.1:5432/p","state":"running","role":"primary"}'`+"\n", site, "keys.toml")
	proctest.Write(t, "server {{primary.Addr}}\n", site, "templates", "a.tmpl")
	proctest.Write(t, "[template]\nprefix = \"/service/batman\"\nsrc = \"a.tmpl\"\ndest = \"/out/a.conf\"\nmode = \"0640\"\n", site, "conf.d", "a.toml")
	out := filepath.Join(dir, "out")
	if err := os.Mkdir(out, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(out, 65532, 65532); err != nil {
		t.Fatal(err)
	}
	container := strings.TrimSpace(buildah("from", "localhost/pc4patroni:test").Stdout)
	buildah("run", "--isolation", "chroot", "-v", site+":/site:ro", "-v", out+":/out", container, "--",
		"/usr/bin/pc4patroni", "-onetime", "-confdir", "/site", "-file", "/site/keys.toml")
	if got, want := proctest.Read(t, out, "a.conf"), "server 10.0.0.1:5432\n"; got != want {
		t.Errorf("the container wrote %q, want %q", got, want)
	}
	if got := strings.TrimSpace(buildah("inspect", "--type", "image", "--format", "{{.OCIv1.Config.User}}", "localhost/pc4patroni:test").Stdout); got != "65532:65532" {
		t.Errorf("the image runs as %q, want 65532:65532", got)
	}
}
