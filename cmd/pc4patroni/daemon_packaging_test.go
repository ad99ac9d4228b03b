package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// mostExposed is what "systemd-analyze security" may say of a unit, from 0 to 10.
const mostExposed = 3.0

// unitFiles returns the units of packaging/ in a directory of their own, with a program
// that exists in the place of the installed one.
func unitFiles(t *testing.T) (dir string, services []string) {
	t.Helper()
	dir = t.TempDir()
	for _, pattern := range []string{"*.service", "*.timer"} {
		names, err := filepath.Glob(filepath.Join(repository(t), "packaging", pattern))
		if err != nil || len(names) == 0 {
			t.Fatalf("no %s in packaging: %v", pattern, err)
		}
		for _, name := range names {
			unit := read(t, name)
			if strings.HasSuffix(name, ".service") {
				if !strings.Contains(unit, "=/usr/bin/pc4patroni") {
					t.Fatalf("%s does not start /usr/bin/pc4patroni", name)
				}
				services = append(services, filepath.Base(name))
			}
			write(t, strings.ReplaceAll(unit, "=/usr/bin/pc4patroni", "=/bin/true"), dir, filepath.Base(name))
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

// TestUnits has systemd judge the units as they are, and as their comments would have them
// for other proxies.
func TestUnits(t *testing.T) {
	need(t, "systemd-analyze")
	dir, services := unitFiles(t)
	for _, name := range services {
		t.Run(name, func(t *testing.T) { verify(t, filepath.Join(dir, name)) })
	}
	t.Run("pc4patroni.timer", func(t *testing.T) { verify(t, filepath.Join(dir, "pc4patroni.timer")) })

	blocks := regexp.MustCompile(`(?m)(?:^#     .*\n)+`).FindAllString(read(t, dir, "pc4patroni.service"), -1)
	if len(blocks) < 3 {
		t.Fatalf("pc4patroni.service shows %d drop-ins, want one for each of HAProxy, nginx and Pgpool-II", len(blocks))
	}
	for i, block := range blocks {
		for _, name := range services {
			t.Run(fmt.Sprintf("drop-in %d of %s", i+1, name), func(t *testing.T) {
				own := t.TempDir()
				for _, unit := range append(services, "pc4patroni.timer") {
					write(t, read(t, dir, unit), own, unit)
				}
				write(t, strings.ReplaceAll(block, "#     ", ""), own, name+".d", "proxy.conf")
				verify(t, filepath.Join(own, name))
			})
		}
	}
}

// TestUnitsAgree holds the two services to one sandbox, and the daemon's to the program's
// defaults.
func TestUnitsAgree(t *testing.T) {
	sandbox := func(name string) string {
		unit := read(t, repository(t), "packaging", name)
		from, to := strings.Index(unit, "# Who it is."), strings.Index(unit, "\n[Install]")
		if to < 0 {
			to = len(unit)
		}
		if from < 0 {
			t.Fatalf("%s has no part \"Who it is\"", name)
		}
		return strings.TrimSpace(unit[from:to])
	}
	if a, b := sandbox("pc4patroni.service"), sandbox("pc4patroni-onetime.service"); a != b {
		t.Errorf("the two services run in different sandboxes:\n%s\n\n%s", a, b)
	}
}

// TestManPageLint has mandoc judge the man page.
func TestManPageLint(t *testing.T) {
	need(t, "mandoc")
	page := filepath.Join(repository(t), "packaging", "pc4patroni.8")
	if out, err := exec.Command("mandoc", "-T", "lint", "-W", "warning", page).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("mandoc -T lint: %v\n%s", err, out)
	}
	if _, err := os.Stat(page); err != nil {
		t.Error(err)
	}
}
