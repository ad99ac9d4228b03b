package logging

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// journalFile returns a file, and what JOURNAL_STREAM holds when that file is
// the journal.
func journalFile(t *testing.T) (file *os.File, stream string) {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "journal"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	return file, fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
}

func TestJournal(t *testing.T) {
	file, stream := journalFile(t)
	log := New(file, "text", slog.LevelDebug, stream).With("resource", "haproxy")
	log.Info("file installed", "dest", "/etc/a b")
	log.WithGroup("g").Error("reload failed", "err", errors.New("exit status 1"))
	log.Warn("w")
	log.Debug("d")
	New(file, "json", slog.LevelInfo, stream).Info("file installed")
	got, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	want := `<6>level=INFO msg="file installed" resource=haproxy dest="/etc/a b"
<3>level=ERROR msg="reload failed" resource=haproxy g.err="exit status 1"
<4>level=WARN msg=w resource=haproxy
<7>level=DEBUG msg=d resource=haproxy
{"level":"INFO","msg":"file installed"}
`
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestInheritedJournalStream is about a program whose output was redirected
// by somebody that the journal listens to.
func TestInheritedJournalStream(t *testing.T) {
	_, stream := journalFile(t)
	elsewhere, _ := journalFile(t)
	New(elsewhere, "text", slog.LevelInfo, stream).Info("x")
	got, err := os.ReadFile(elsewhere.Name())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(got), "time=") {
		t.Errorf("got %q, want a line with its time", got)
	}
}

// TestFatal has the last words of a run read by a person, by the journal and
// by a program.
func TestFatal(t *testing.T) {
	err := errors.New("line 1: bad\nline 2: worse")
	journal, stream := journalFile(t)
	Fatal(journal, "pc4patroni", "text", stream, err)
	got, readErr := os.ReadFile(journal.Name())
	if readErr != nil {
		t.Fatal(readErr)
	}
	if want := "<3>level=ERROR msg=\"line 1: bad\"\n<3>level=ERROR msg=\"line 2: worse\"\n"; string(got) != want {
		t.Errorf("to the journal: got %q, want %q", got, want)
	}
	var plain, json bytes.Buffer
	Fatal(&plain, "pc4patroni", "text", "", err)
	if want := "pc4patroni: line 1: bad\npc4patroni: line 2: worse\n"; plain.String() != want {
		t.Errorf("got %q, want %q", plain.String(), want)
	}
	Fatal(&json, "pc4patroni", "json", "", err)
	if got := json.String(); strings.Count(got, `"level":"ERROR"`) != 2 || !strings.Contains(got, `"msg":"line 1: bad"`) {
		t.Errorf("as JSON: got %q", got)
	}
}

func TestLogLevel(t *testing.T) {
	var b bytes.Buffer
	log := New(&b, "text", slog.LevelWarn, "")
	log.Info("hidden")
	log.Warn("shown")
	if got := b.String(); strings.Contains(got, "hidden") || !strings.Contains(got, "msg=shown") {
		t.Errorf("got %q", got)
	}
}

func TestTerminalHandler(t *testing.T) {
	var b bytes.Buffer
	h := newTerminalHandler(&b, slog.LevelInfo)
	log := slog.New(h).With("resource", "haproxy")
	log.Info("file installed", "dest", "/etc/haproxy/haproxy.cfg", "took", 1500*time.Millisecond)
	log.Error("check failed", "err", errors.New("exit status 1"), "output", "line 1\nline \x1b[31m2\n\x9b31m3\n", "empty", "")
	log.WithGroup("command").Warn("slow", "text", "a b", slog.Group("nested", "n", 1), slog.Attr{})
	log.With("script", "a\nb").Warn("of several lines", "output", "c\nd")
	log.Debug("hidden")
	var got []string
	for line := range strings.SplitSeq(b.String(), "\n") {
		if len(line) > 8 && line[2] == ':' {
			line = "TIME" + line[8:]
		}
		got = append(got, line)
	}
	want := `TIME INFO  file installed  resource=haproxy dest=/etc/haproxy/haproxy.cfg took=1.5s
TIME ERROR check failed  resource=haproxy err="exit status 1" empty=""
    output:
      line 1
      line \x1b[31m2
      �31m3
TIME WARN  slow  resource=haproxy command.text="a b" command.nested.n=1
TIME WARN  of several lines  resource=haproxy script="a\nb"
    output:
      c
      d
`
	if got := strings.Join(got, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
