package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pc4patroni/internal/proctest"
)

// mostExposed is what "systemd-analyze security" may say of a unit, from 0 to 10.
const mostExposed = 3.0

// unitFiles returns the units of packaging/ in a directory of their own, with a program
// that exists in the place of the installed one.
func unitFiles(t *testing.T) (dir string, services []string) {
	t.Helper()
	dir = t.TempDir()
	for _, pattern := range []string{"*.service", "*.timer"} {
		names, err := filepath.Glob(filepath.Join(proctest.Repository(t), "packaging", pattern))
		if err != nil || len(names) == 0 {
			t.Fatalf("no %s in packaging: %v", pattern, err)
		}
		for _, name := range names {
			unit := proctest.Read(t, name)
			if strings.HasSuffix(name, ".service") {
				if !strings.Contains(unit, "=/usr/bin/pc4patroni") {
					t.Fatalf("%s does not start /usr/bin/pc4patroni", name)
				}
				services = append(services, filepath.Base(name))
			}
			proctest.Write(t, strings.ReplaceAll(unit, "=/usr/bin/pc4patroni", "=/bin/true"), dir, filepath.Base(name))
		}
	}
	return dir, services
}

// verify has systemd look for mistakes in a unit, and say how exposed it is.
func verify(t *testing.T, path string) {
	t.Helper()
	// What it thinks of other units of this host goes to the same place.
	out, err := exec.Command("systemd-analyze", "verify", "--man=no", path).CombinedOutput()
	if err != nil || strings.Contains(string(out), filepath.Dir(path)) {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	if !strings.HasSuffix(path, ".service") {
		return
	}
	out, err = exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", path).CombinedOutput()
	found := regexp.MustCompile(`Overall exposure level for \S+: (\d+\.\d)`).FindSubmatch(out)
	if err != nil || found == nil {
		t.Fatalf("systemd-analyze security: %v\n%s", err, out)
	}
	if exposure, err := strconv.ParseFloat(string(found[1]), 64); err != nil || exposure >= mostExposed {
		t.Errorf("the exposure is %s, want less than %v:\n%s", found[1], mostExposed, out)
	}
}

// TestUnits has systemd judge the units.
func TestUnits(t *testing.T) {
	proctest.Need(t, "systemd-analyze")
	dir, services := unitFiles(t)
	for _, name := range append(services, "pc4patroni.timer") {
		t.Run(name, func(t *testing.T) { verify(t, filepath.Join(dir, name)) })
	}
}

var (
	commandOfSystemd = regexp.MustCompile(`systemctl (\S+) (\w+)`)
	directoryOfDest  = regexp.MustCompile(`(?m)^dest\s*=\s*"(/[^"]+)/[^/"]+"`)
)

// TestServiceServesSamples wants the service to be let do what the samples for proxies do:
// the rules allow each command to systemd, and the units let it write where the files go.
func TestServiceServesSamples(t *testing.T) {
	root := proctest.Repository(t)
	rules, unit := proctest.Read(t, root, "packaging", "pc4patroni.rules"), proctest.Read(t, root, "packaging", "pc4patroni.service")
	samples, err := filepath.Glob(filepath.Join(root, "conf.d", "*.toml"))
	if err != nil || len(samples) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	for _, path := range samples {
		sample := proctest.Read(t, path)
		for _, command := range commandOfSystemd.FindAllStringSubmatch(sample, -1) {
			// "app" stands for a service of the reader.
			if rule := fmt.Sprintf("{ verb: %q, unit: %q }", command[1], command[2]+".service"); command[2] != "app" && !strings.Contains(rules, rule) {
				t.Errorf("%s runs %q, which pc4patroni.rules does not allow", filepath.Base(path), command[0])
			}
		}
		dir := directoryOfDest.FindStringSubmatch(sample)
		if dir == nil {
			t.Errorf("%s has no dest", filepath.Base(path))
			continue
		}
		if commandOfSystemd.MatchString(sample) && !strings.Contains(sample, "systemctl try-restart app") && !strings.Contains(unit, "-"+dir[1]) {
			t.Errorf("%s writes to %s, which is not in ReadWritePaths", filepath.Base(path), dir[1])
		}
	}
}

// TestUnitsAgree holds the two services to one sandbox, and the daemon's to the program's
// defaults.
func TestUnitsAgree(t *testing.T) {
	sandbox := func(name string) string {
		unit := proctest.Read(t, proctest.Repository(t), "packaging", name)
		from, to := strings.Index(unit, "# Its own user"), strings.Index(unit, "\n[Install]")
		if to < 0 {
			to = len(unit)
		}
		if from < 0 {
			t.Fatalf("%s has no part \"Its own user\"", name)
		}
		return strings.TrimSpace(unit[from:to])
	}
	if a, b := sandbox("pc4patroni.service"), sandbox("pc4patroni-onetime.service"); a != b {
		t.Errorf("the two services run in different sandboxes:\n%s\n\n%s", a, b)
	}
}

// TestManPageLint has mandoc judge the man pages.
func TestManPageLint(t *testing.T) {
	proctest.Need(t, "mandoc")
	pages, err := filepath.Glob(filepath.Join(proctest.Repository(t), "packaging", "*.[58]"))
	if err != nil || len(pages) != 2 {
		t.Fatalf("man pages %q, %v", pages, err)
	}
	if out, err := exec.Command("mandoc", append([]string{"-T", "lint", "-W", "warning"}, pages...)...).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("mandoc -T lint: %v\n%s", err, out)
	}
}
