package engine

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// A dest that cannot be replaced fails before it has to be: with Noop, which is
// what an administrator tries first.
func TestNoopFindsMissingDirectory(t *testing.T) {
	s := newSite(t, twoKeys, "templates/a.tmpl", plainTemplate, "conf.d/a.toml", plainResource)
	if err := os.Remove(s.out("")); err != nil {
		t.Fatal(err)
	}
	s.opts.Noop = true
	results := s.once()
	if got := results["a"]; got.State != Failed || !strings.Contains(got.Err.Error(), "does not exist") {
		t.Errorf("%v, %v", got.State, got.Err)
	}
	if results["a"].Change == nil {
		t.Error("the change is not shown")
	}
}

// A file that is in sync today, in a directory that this user may not write,
// would miss the next failover.
func TestMissingPermissionFailsInSync(t *testing.T) {
	if os.Getuid() == 0 {
		asNobody(t)
		return
	}
	s := newSite(t, twoKeys, "templates/a.tmpl", plainTemplate, "conf.d/a.toml", plainResource)
	s.once()
	if err := os.Chmod(s.out(""), 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(s.out(""), 0o755) })
	if got := s.once()["a"]; got.State != Failed || !strings.Contains(got.Err.Error(), "may not create files in") {
		t.Errorf("%v, %v", got.State, got.Err)
	}
}

// asNobody runs the test in a process of a user whom permissions bind.
func asNobody(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("", "pc4p-nobody-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	const nobody = 65534
	if err := os.WriteFile(dir+"/test", program, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), dir+"/test", "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("as nobody: %v\n%s", err, out)
	}
}
