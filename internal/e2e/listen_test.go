package e2e

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"pc4patroni/internal/proctest"
)

// statusSite is a configuration of one resource, with its keys in a snapshot.
func statusSite(t *testing.T, reload string) (dir string, args []string) {
	dir = proctest.WorkDir(t)
	proctest.Write(t, `"/service/batman/leader" = "db1"
"/service/batman/members/db1" = '{"conn_url":"postgres://10.0.0.1:5432/p","state":"running","role":"primary","xlog_location":1000,"timeline":3}'
`, dir, "keys.toml")
	proctest.Write(t, "server {{primary.Addr}}\n", dir, "templates", "a.tmpl")
	proctest.Write(t, fmt.Sprintf("[template]\nprefix = \"/service/batman\"\nsrc = \"a.tmpl\"\ndest = %q\nreload_cmd = %q\n",
		filepath.Join(dir, "a.conf"), reload), dir, "conf.d", "a.toml")
	proctest.Write(t, "", dir, "pc4patroni.toml")
	return dir, []string{proctest.Binary(t), "-confdir", dir, "-config-file", filepath.Join(dir, "pc4patroni.toml"), "-file", filepath.Join(dir, "keys.toml")}
}

// fetch asks for a URL once, on a connection of its own.
func fetch(ctx context.Context, url string) (status int, text string, err error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	return response.StatusCode, string(data), err
}

var logged = regexp.MustCompile(`(?m)listening.*address=(\S+)`)

// address waits for the address that the program has logged.
func address(t *testing.T, s *proctest.Server) string {
	t.Helper()
	var found string
	proctest.Eventually(t, 30*time.Second, "the program listens", func() error {
		if err := s.Running(); err != nil {
			return err
		}
		parts := logged.FindStringSubmatch(proctest.Read(t, s.Log))
		if parts == nil {
			return errors.New("no address in the log")
		}
		found = parts[1]
		return nil
	})
	return found
}

// TestListenServes follows one program with -listen from a reload that fails to
// its end.
func TestListenServes(t *testing.T) {
	dir, args := statusSite(t, "test -e go")
	s := proctest.Launch(t, dir, "pc4patroni", proctest.Account{}, nil, append(args, "-listen", "127.0.0.1:0")...)
	base := "http://" + address(t, s)
	awaitAnswer := func(path string, status int, text string) string {
		t.Helper()
		var all string
		proctest.Eventually(t, 30*time.Second, path+" answers", func() error {
			got, body, err := fetch(t.Context(), base+path)
			if err != nil {
				return err
			}
			if got != status || !strings.Contains(body, text) {
				return fmt.Errorf("status %d, want %d with %q:\n%s", got, status, text, body)
			}
			all = body
			return nil
		})
		return all
	}
	awaitAnswer("/readyz", 503, "a failed: reload failed: exit status 1")
	awaitAnswer("/healthz", 200, "alive")
	awaitAnswer("/metrics", 200, `pc4patroni_reload_pending{resource="a"} 1`)
	awaitAnswer("/", 200, "a failed: reload failed")
	proctest.Write(t, "", dir, "go")
	awaitAnswer("/readyz", 200, "ready")
	page := html.UnescapeString(awaitAnswer("/", 200, "Every file is in sync."))
	if !strings.Contains(page, ">10.0.0.1:5432<") || !strings.Contains(page, "+server 10.0.0.1:5432") {
		t.Errorf("the page shows neither the cluster nor the diff:\n%s", page)
	}
	awaitAnswer("/status.json", 200, `"leader": "db1"`)
	metrics := awaitAnswer("/metrics", 200, `pc4patroni_resource_in_sync{resource="a"} 1`)
	if !strings.Contains(metrics, "\npc4patroni_change_to_reload_seconds_count 1\n") {
		t.Errorf("one change was told, but the metrics are:\n%s", metrics)
	}
	t.Run("promtool", func(t *testing.T) {
		proctest.Need(t, "promtool")
		check := exec.Command(proctest.Program("promtool"), "check", "metrics")
		check.Stdin = strings.NewReader(metrics)
		if out := proctest.InvokeCmd(t, check, nil); out.Code != 0 || out.Stdout+out.Stderr != "" {
			t.Errorf("promtool check metrics: status %d\n%s%s", out.Code, out.Stdout, out.Stderr)
		}
	})

	s.Signal(t, syscall.SIGTERM)
	proctest.Eventually(t, 20*time.Second, "the program ends", func() error {
		if s.Running() == nil {
			return errors.New("it still runs")
		}
		return nil
	})
	if code := s.Cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit status %d, want 0", code)
	}
	if _, _, err := fetch(t.Context(), base); err == nil {
		t.Error("somebody still answers")
	}
}

// TestListenOnTakenPort: the program ends with status 2, and has not touched
// anything.
func TestListenOnTakenPort(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir, args := statusSite(t, "true")
	got := proctest.Invoke(t, nil, append(args, "-listen", taken.Addr().String())...)
	if want := "pc4patroni: listen tcp " + taken.Addr().String() + ": bind: address already in use\n"; got.Code != 2 || got.Stderr != want {
		t.Errorf("exit status %d and %q, want 2 and %q", got.Code, got.Stderr, want)
	}
	if _, err := os.Stat(filepath.Join(dir, "a.conf")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file was written: %v", err)
	}
}
