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

// bigOrder is a main file that includes two parts of 1 MB each, without commands of
// their own. Its check and its reload read all three: the check wants the parts of the
// same version as the main file, and the reload notes which ones it saw. The name of
// its resource file is the first.
func bigOrder(t *testing.T) (confdir, dest string) {
	t.Helper()
	dir := proctest.WorkDir(t)
	confdir, dest = filepath.Join(dir, "confdir"), filepath.Join(dir, "dest")
	part := func(i int) string { return filepath.Join(dest, fmt.Sprintf("part%d", i)) }
	same := `v=$(printf %016d $(cat {{.src}})); for part in ` + part(1) + " " + part(2) +
		`; do [ "$(head -n 1 $part) $(tail -n 1 $part)" = "$v $v" ] || exit 1; done`
	told := fmt.Sprintf("echo $(head -qn 1 %s/main %s %s) $(tail -qn 1 %s %s) >>%s",
		dest, part(1), part(2), part(1), part(2), filepath.Join(dest, "told"))
	proctest.Write(t, "{{getv \"/version\"}}\n", confdir, "templates", "main.tmpl")
	proctest.Write(t, "{{repeat 65536 (printf \"%016d\\n\" (atoi (getv \"/version\")))}}", confdir, "templates", "part.tmpl")
	proctest.Write(t, fmt.Sprintf("[template]\nsrc = \"main.tmpl\"\ndest = \"%s/main\"\nkeys = [\"/version\"]\ncheck_cmd = '''%s'''\nreload_cmd = '''%s'''\n",
		dest, same, told), confdir, "conf.d", "1-main.toml")
	for i := 1; i <= 2; i++ {
		proctest.Write(t, fmt.Sprintf("[template]\nsrc = \"part.tmpl\"\ndest = %q\nkeys = [\"/version\"]\n", part(i)), confdir, "conf.d", fmt.Sprintf("%d-part.toml", i+1))
	}
	if err := os.MkdirAll(dest, 0o755); err != nil {
		t.Fatal(err)
	}
	return confdir, dest
}

// toldOf is what a reload notes that saw the version everywhere.
func toldOf(version int) string {
	return fmt.Sprintf("%d%s", version, strings.Repeat(fmt.Sprintf(" %016d", version), 4))
}

// slowDisk runs a program as if each sync to disk took 20 ms longer.
func slowDisk(t *testing.T) []string {
	t.Helper()
	proctest.Need(t, "strace")
	return []string{proctest.Program("strace"), "-D", "-f", "-qq", "-o", os.DevNull,
		"-e", "trace=fsync", "-e", "inject=fsync:delay_enter=20000"}
}

// testBigOrderOnce runs on fresh hosts: the check always finds the parts.
func testBigOrderOnce(t *testing.T) { onceInOrder(t, 100) }

func testSlowOrderOnce(t *testing.T) { onceInOrder(t, 25, slowDisk(t)...) }

// onceInOrder runs the program a number of times, under another one if that is named.
func onceInOrder(t *testing.T, times int, under ...string) {
	confdir, dest := bigOrder(t)
	keys := proctest.Write(t, `{"/version": "7"}`, confdir, "keys.json")
	config := proctest.Write(t, "", confdir, "pc4patroni.toml")
	argv := append(under, proctest.Binary(t), "-config-file", config, "-onetime", "-confdir", confdir, "-file", keys)
	for i := range times {
		got := proctest.Invoke(t, nil, argv...)
		if got.Code != 0 {
			t.Fatalf("run %d: exit status %d\n%s", i, got.Code, got.Stderr)
		}
		if told, want := proctest.Read(t, dest, "told"), toldOf(7)+"\n"; told != want {
			t.Fatalf("run %d: the reload saw %q, want %q\n%s", i, told, want, got.Stderr)
		}
		if err := os.RemoveAll(dest); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(dest, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// testBigOrderDaemon changes the version again and again: no reload sees files of two
// versions, the newest is always told, and no check fails.
func testBigOrderDaemon(t *testing.T) { followInOrder(t, 100) }

func testSlowOrderDaemon(t *testing.T) { followInOrder(t, 25, slowDisk(t)...) }

// followInOrder runs the daemon for a number of changes, under another program if that is
// named.
func followInOrder(t *testing.T, changes int, under ...string) {
	confdir, dest := bigOrder(t)
	keys := filepath.Join(confdir, "keys.json")
	put := func(version int) {
		proctest.Write(t, fmt.Sprintf(`{"/version": "%d"}`, version), keys+".new")
		if err := os.Rename(keys+".new", keys); err != nil {
			t.Fatal(err)
		}
	}
	put(0)
	config := proctest.Write(t, "", confdir, "pc4patroni.toml")
	argv := append(under, proctest.Binary(t), "-confdir", confdir, "-config-file", config, "-file", keys, "-interval", "1h")
	run := proctest.Launch(t, filepath.Dir(confdir), "pc4patroni", proctest.Account{}, nil, argv...)
	want := ""
	for i := range changes + 1 {
		put(i)
		want += toldOf(i) + "\n"
		proctest.Eventually(t, time.Minute, fmt.Sprintf("the reload of version %d", i), func() error {
			told, err := os.ReadFile(filepath.Join(dest, "told"))
			if string(told) != want {
				return fmt.Errorf("the reloads saw\n%swant\n%s%w", told, want, err)
			}
			return nil
		})
	}
	run.Stop(t)
	if log := proctest.Read(t, run.Log); strings.Contains(log, "check failed") {
		t.Errorf("a check failed:\n%s", log)
	}
}
