package sdnotify

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestWatchdogTimeout(t *testing.T) {
	tests := []struct {
		usec, pid string
		want      time.Duration
		bad       bool
	}{
		{"", "", 0, false},
		{"30000000", "", 30 * time.Second, false},
		{"30000000", "42", 30 * time.Second, false},
		{"30000000", "41", 0, false}, // another process's
		{"", "42", 0, false},
		{"0", "42", 0, true},
		{"-1", "42", 0, true},
		{"soon", "42", 0, true},
		{"9223372036854775807", "42", 0, true},
	}
	for _, tt := range tests {
		got, err := watchdogTimeout(tt.usec, tt.pid, 42)
		if got != tt.want || (err != nil) != tt.bad {
			t.Errorf("watchdogTimeout(%q, %q) = %v, %v; want %v, an error: %v", tt.usec, tt.pid, got, err, tt.want, tt.bad)
		}
	}
}

func listenAsSystemd(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestSend(t *testing.T) {
	for _, path := range []string{
		filepath.Join(t.TempDir(), "notify"),
		fmt.Sprintf("@pc4patroni-test-%d", os.Getpid()),
	} {
		conn := listenAsSystemd(t, path)
		if err := send(path, "READY=1\nSTATUS=x"); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		n, err := conn.Read(buf)
		if got := string(buf[:n]); err != nil || got != "READY=1\nSTATUS=x" {
			t.Errorf("%s got %q, %v", path, got, err)
		}
	}
}

// TestSendNobodyReads has a socket whose owner does not read it. The program
// must not hang on it.
func TestSendNobodyReads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	listenAsSystemd(t, path)
	for range 10_000 {
		if err := send(path, "WATCHDOG=1"); err != nil {
			return
		}
	}
	t.Error("10,000 messages fit into the socket: the test proves nothing")
}
