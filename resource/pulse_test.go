package resource

import (
	"os"
	"slices"
	"syscall"
	"testing"
	"time"
)

// TestStuckInFileSystem has a file system that does not answer, as a network
// mount may: a named pipe in place of a mark. The loop that waits for it is
// named, and nobody else.
func TestStuckInFileSystem(t *testing.T) {
	for _, tt := range []struct {
		name  string
		early bool // before the program starts, else while it runs
		want  []string
	}{
		{"while starting", true, []string{"engine"}},
		{"while installing", false, []string{"a"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, twoKeys, "templates/a.tmpl", hostTemplate, "templates/b.tmpl", hostTemplate,
				"conf.d/a.toml", plainResource+`reload_cmd = "echo x >>OUTreloads"`, "conf.d/b.toml", other)
			s.write("out/a.conf", "10.0.0.1\n")
			pipe := markPath(s.out("a.conf"))
			hang := func() {
				if err := syscall.Mkfifo(pipe, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if tt.early {
				hang()
			}
			d := s.start(watching)
			if !tt.early {
				d.ready()
				hang()
				s.backend.put("/app/host", "10.0.0.2")
				d.waitFile("b.conf", "10.0.0.2\n")
			}
			since := time.Now()
			d.engine.Stuck(since)
			waitFor(t, "the others to take their turns", func() bool {
				if slices.Equal(d.engine.Stuck(since), tt.want) {
					return true
				}
				if time.Since(since) > time.Second { // the engine may have begun only after that
					since = time.Now()
				}
				return false
			})

			// With somebody at the other end nobody waits any more. Opening the end
			// for writing fails until the reader is there.
			otherEnd := os.O_RDONLY
			if tt.early {
				otherEnd = os.O_WRONLY
			}
			waitFor(t, "somebody at the pipe", func() bool {
				f, err := os.OpenFile(pipe, otherEnd|syscall.O_NONBLOCK, 0)
				if err == nil && tt.early {
					f.Close() // the reader sees its end
				} else if err == nil {
					t.Cleanup(func() { f.Close() })
				}
				return err == nil
			})
			d.waitFile("reloads", "x\n")
			waitFor(t, "every loop to turn", func() bool { return len(d.engine.Stuck(since)) == 0 })
		})
	}
}
