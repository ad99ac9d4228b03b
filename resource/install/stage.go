package install

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const stagedPrefix = ".pc4patroni-"

// process tells the staged files of this process from those of others. Its ID is
// for RemoveLeftovers; processes in two containers that share a volume may have the
// same one, and would put the other's half-written file in place.
var process = fmt.Sprintf("%d-%s-", os.Getpid(), rand.Text()[:8])

// stagedName is where the next content of name is staged. It is hidden, and ends as
// name does, because checkers such as HAProxy's look at the extension.
func stagedName(name string) string { return stagedPrefix + process + name }

// Staged is a file that was written beside its target and is not yet in its
// place. One of Install, Discard and Leave ends its use.
type Staged struct {
	dir      *directory
	name     string // of the target
	file     *os.File
	want     Want
	warnings []string
	synced   bool
}

// Stage writes want beside target, with its owner and mode. Where want does not
// say otherwise, those of the present target are kept, and its extended
// attributes always. The data need not be on disk yet: see Sync.
func Stage(target string, want Want) (_ *Staged, err error) {
	d, err := openDirectory(filepath.Dir(target), false)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	name := filepath.Base(target)
	old, have, err := d.open(name, unix.O_RDONLY)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	defer old.Close()
	return d.stage(name, old, have, want)
}

// stage is Stage for name, in place of the file old whose state is have; old is nil
// if there is none to take after. A leftover is removed, never opened: it may be
// anything.
func (d *directory) stage(name string, old *os.File, have State, want Want) (_ *Staged, err error) {
	if err := d.remove(stagedName(name)); err != nil {
		return nil, err
	}
	file, err := d.create(stagedName(name))
	if err != nil {
		return nil, explain(err, "stage", d.join(name))
	}
	s := &Staged{dir: d, name: name, file: file, want: want}
	defer func() {
		if err != nil {
			s.remove()
		}
	}()
	markOurs(file)
	if err := write(file, want.Data); err != nil {
		return nil, explain(err, "stage", d.join(name))
	}
	if err := d.setTime(stagedName(name), want.ModTime); err != nil {
		return nil, err
	}
	s.warnings, err = setMetadata(file, d.join(name), old, have, want)
	return s, err
}

// write makes data the first bytes of file.
func write(file *os.File, data []byte) error {
	return do("write", file.Name(), func() error {
		_, err := file.WriteAt(data, 0)
		return err
	})
}

// Path returns the path of the staged file, for those that check it.
func (s *Staged) Path() string { return s.dir.join(stagedName(s.name)) }

// Sync makes the staged data survive a power cut. It has to come before the
// rename, which could otherwise reach the disk before the data and leave an empty
// file. It may run while the file is checked; Install does it if nobody has.
func (s *Staged) Sync() error {
	err := do("sync", s.Path(), s.file.Sync)
	s.synced = err == nil
	return explain(err, "sync", s.dir.join(s.name))
}

// Discard removes the staged file.
func (s *Staged) Discard() {
	s.remove()
	s.dir.close()
}

func (s *Staged) remove() {
	_ = s.file.Close()                   // replace has closed it already, and checked the error
	_ = s.dir.remove(stagedName(s.name)) // or else the next Stage does
}

// Leave leaves the staged file where it is, for somebody to look at. The next
// start removes it.
func (s *Staged) Leave() {
	_ = s.file.Close() // nobody relies on what it holds
	s.dir.close()
}

// RemoveLeftovers removes what processes that have ended left staged in the
// directory of target, whatever their target, and returns the number of files.
// Programs call it once at start for each directory.
//
// A process counts as ended if nobody has its ID now, or this process has. The
// staged file of a live process in another PID namespace (two containers that
// share a volume) may go, too: its Install then fails and changes nothing.
func RemoveLeftovers(target string) (removed int, err error) {
	err = inDirectory(target, func(d *directory, _ string) error {
		dir, err := d.openFile(".", unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			return explain(err, "read", d.path)
		}
		defer dir.Close()
		names, err := dir.Readdirnames(-1)
		for _, name := range names {
			of, isStaged := strings.CutPrefix(name, stagedPrefix)
			id, _, _ := strings.Cut(of, "-")
			pid, noID := strconv.Atoi(id)
			if !isStaged || noID != nil || strings.HasPrefix(of, process) ||
				pid != os.Getpid() && !errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
				continue
			}
			if err := d.remove(name); err != nil {
				return err
			}
			removed++
		}
		return err
	})
	return removed, unlessMissing(err)
}
