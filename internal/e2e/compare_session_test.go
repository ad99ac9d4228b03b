package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"pc4patroni/internal/proctest"
)

// session is one connection to a database that is asked many things, which a psql for
// each would make slow. It belongs to one goroutine.
type session struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	answer *bufio.Reader
}

// openSession starts a psql. Whether it reaches the server shows when it is asked.
func openSession(ctx context.Context, conninfo string, env ...string) (*session, error) {
	cmd := exec.CommandContext(ctx, proctest.Program("psql"), "-XAtq", "-v", "VERBOSITY=sqlstate", "-d", conninfo)
	cmd.Env = append(env, "PATH="+os.Getenv("PATH"), "LC_ALL=C.UTF-8", "PGPASSWORD="+appPassword, "HOME=/nonexistent")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	// One pipe for both, so that rows and errors keep their order.
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		r.Close()
		return nil, err
	}
	s := &session{cmd: cmd, stdin: stdin, answer: bufio.NewReader(r)}
	context.AfterFunc(ctx, func() { r.Close() })
	return s, nil
}

// mark ends the answer to a statement; the SQLSTATE follows it.
const mark = "answered "

// ask runs a statement and returns what it printed. An error in the statement leaves the
// session usable and has the SQLSTATE as its text; a *lostError does not.
func (s *session) ask(statement string) (string, error) {
	if _, err := fmt.Fprintf(s.stdin, "%s;\n\\warn '%s':SQLSTATE\n", statement, mark); err != nil {
		return "", &lostError{err.Error()}
	}
	var printed strings.Builder
	for {
		line, err := s.answer.ReadString('\n')
		if err != nil {
			return "", &lostError{strings.TrimSpace(printed.String())}
		}
		if state, ok := strings.CutPrefix(line, mark); ok {
			if state = strings.TrimSpace(state); state != "00000" {
				return "", fmt.Errorf("SQLSTATE %s", state)
			}
			return strings.TrimSpace(printed.String()), nil
		}
		printed.WriteString(line)
	}
}

// close ends the session, at once.
func (s *session) close() {
	s.stdin.Close()
	_ = s.cmd.Process.Kill()
	// Reaped; that it was killed is no news.
	_ = s.cmd.Wait()
}

// lostError means that the connection is gone, or never came to be. Its text is what
// psql said.
type lostError struct{ said string }

func (e *lostError) Error() string { return "connection lost: " + e.said }
