package install

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// The names beside a target. Each is derived from its base name and hidden by a
// leading dot; the staged one also ends with it, because checkers such as that
// of HAProxy look at the extension. None is random: what a crash leaves
// behind is found by its name and replaced by the next Stage.
func stagedName(name string) string  { return ".pc4patroni-" + name }
func claimedName(name string) string { return "." + name + ".pc4patroni-claimed" }

// ErrContended says that another process staged the same target meanwhile.
// Nothing was changed.
var ErrContended = errors.New("another process is replacing this file too")

// Staged is a file that was written beside its target and is not yet in its
// place. One of Install, Discard and Leave ends its use.
type Staged struct {
	dir      *directory
	name     string // of the target
	target   string
	file     *os.File
	have     State
	want     Want
	warnings []Warning
	synced   bool
}

// Stage writes want beside target, with its owner and mode. have is the state
// of target, whose owner, mode and extended attributes are kept where want does
// not say otherwise. The data need not be on disk yet: see Sync.
func Stage(target string, have State, want Want) (_ *Staged, err error) {
	d, name, err := openTarget(target)
	if err != nil {
		return nil, err
	}
	s := &Staged{dir: d, name: name, target: target, have: have, want: want}
	if s.file, err = d.stage(name); err != nil {
		d.close()
		return nil, err
	}
	defer func() {
		if err != nil {
			s.Discard()
		}
	}()
	if err := write(s.file, want.Data); err != nil {
		return nil, explain(err, "write", s.Path(), d.path)
	}
	var old *os.File
	if have.Exists {
		if old, err = d.open(name, unix.O_RDONLY); err != nil {
			return nil, err
		}
		defer old.Close()
	}
	s.warnings, err = setMetadata(s.file, target, old, have, want)
	return s, err
}

// stage makes the empty file in which the next content of name is staged. A
// leftover is removed, never opened: it may be anything.
func (d *directory) stage(name string) (*os.File, error) {
	if _, err := d.remove(stagedName(name)); err != nil {
		return nil, err
	}
	if err := step("create"); err != nil {
		return nil, err
	}
	return d.create(stagedName(name))
}

// writeSize bounds a single write, so that tests can stop between two.
const writeSize = 1 << 20

func write(file *os.File, data []byte) error {
	for at := 0; ; {
		if err := step("write"); err != nil {
			return err
		}
		n, err := file.WriteAt(data[at:min(at+writeSize, len(data))], int64(at))
		if err != nil {
			return errors.Unwrap(err)
		}
		if at += n; at == len(data) {
			return nil
		}
	}
}

// Path returns the path of the staged file, for those that check it.
func (s *Staged) Path() string { return s.dir.join(stagedName(s.name)) }

// Warnings returns what could not be done as wanted and is not worth a failure.
func (s *Staged) Warnings() []Warning { return s.warnings }

// Sync makes the staged data survive a power cut. It comes before the rename,
// which otherwise could reach the disk before the data does and leave an empty
// file. It may run while the file is checked; Install makes up for it.
func (s *Staged) Sync() error {
	if err := syncFile(s.file); err != nil {
		return explain(err, "sync", s.Path(), s.dir.path)
	}
	s.synced = true
	return nil
}

func syncFile(file *os.File) error {
	if err := step("sync"); err != nil {
		return err
	}
	return retry(func() error { return unix.Fsync(int(file.Fd())) })
}

// Options says what else belongs to an installation.
type Options struct {
	// Reload: a program has to be told afterwards; see PendingOf.
	Reload bool
	// Backup keeps a copy of the replaced file beside it, as NAME.bak.
	Backup bool
}

// Result says what Install did.
type Result struct {
	State    State  // of the target now
	InPlace  bool   // the target is a mount point and was written in place
	Original string // the path of the copy that the first takeover left, or ""
	Warnings []Warning
}

// Install puts the staged file in place of its target, and sets the marker of
// a pending reload before. After an error the target is whole, and what it was,
// except that one that is a mount point may be half written, or be
// complete: ask PendingOf, which is never too low. Either way the staged file is
// gone.
func (s *Staged) Install(opts Options) (result Result, err error) {
	defer s.dir.close()
	if !s.synced {
		if err := s.Sync(); err != nil {
			s.drop(stagedName(s.name))
			return Result{}, err
		}
	}
	if result.Original, err = s.dir.keepCopies(s.name, opts.Backup); err != nil {
		s.drop(stagedName(s.name))
		return Result{}, err
	}
	if err := s.dir.claim(s.name, s.file); err != nil {
		_ = s.file.Close() // the name is another's
		return Result{}, err
	}
	before, err := s.dir.pending(s.name)
	if err == nil && opts.Reload {
		err = s.dir.mark(reloadName(s.name))
	}
	if err == nil {
		// An error of close is one of the data, and has to come before the rename.
		err = s.close()
	}
	if err == nil {
		err = s.dir.renameClaimed(s.name)
	}
	switch {
	case errors.Is(err, unix.EBUSY):
		result.InPlace = true
		s.warnings, err = s.dir.overwrite(s.name, s.want, opts.Reload, before)
		s.drop(claimedName(s.name))
	case err != nil:
		s.drop(claimedName(s.name))
		err = errors.Join(err, s.dir.restoreMarker(s.name, before))
	case before == Partial:
		// What was half written is gone; the reload stays pending.
		_, err = s.dir.remove(partialName(s.name))
	}
	if err != nil {
		return Result{}, err
	}
	result.Warnings = s.warnings
	result.State, err = s.dir.statRegular(s.name)
	return result, err
}

func (s *Staged) close() error {
	if err := step("close"); err != nil {
		return err
	}
	if err := s.file.Close(); err != nil {
		return fmt.Errorf("close the staged file of %s: %w", s.target, errors.Unwrap(err))
	}
	return nil
}

// claim moves the staged file of name to a name at which nobody writes, and
// sees that it is the one that file has open. Another process may stage the
// same target at any time: without this, its half-written file could be
// renamed over the target between a look and the rename. At the claimed name
// there are only files that are whole, checked and synced.
func (d *directory) claim(name string, file *os.File) error {
	ours, err := stateOfOpen(file.Fd())
	if err != nil {
		return explain(err, "stat", d.join(stagedName(name)), d.path)
	}
	if is, _, err := d.stat(stagedName(name)); err != nil || !is.sameFile(ours) {
		return errors.Join(contended(d.join(name)), err)
	}
	if err := step("claim"); err != nil {
		return err
	}
	if err := d.rename(stagedName(name), claimedName(name)); err != nil {
		return explain(err, "rename", d.join(stagedName(name)), d.path)
	}
	if is, _, err := d.stat(claimedName(name)); err != nil || !is.sameFile(ours) {
		_, removed := d.remove(claimedName(name)) // its owner finds it gone, and stages again
		return errors.Join(contended(d.join(name)), err, removed)
	}
	return nil
}

func contended(target string) error { return fmt.Errorf("install %s: %w", target, ErrContended) }

func (d *directory) renameClaimed(name string) error {
	err := step("rename")
	if err == nil {
		err = d.rename(claimedName(name), name)
	}
	if err != nil {
		return explain(err, "replace", d.join(name), d.path)
	}
	return nil
}

// restoreMarker takes back the marker of a reload that is not to come.
func (d *directory) restoreMarker(name string, before Pending) error {
	if before != None {
		return nil
	}
	_, err := d.remove(reloadName(name))
	return err
}

// Discard removes the staged file.
func (s *Staged) Discard() {
	s.drop(stagedName(s.name))
	s.dir.close()
}

// drop removes the staged file under its present name. What cannot be removed
// now is replaced by the next Stage.
func (s *Staged) drop(name string) {
	ours, err := stateOfOpen(s.file.Fd())
	if is, _, e := s.dir.stat(name); err != nil || e == nil && is.sameFile(ours) {
		_, _ = s.dir.remove(name)
	}
	_ = s.file.Close()
}

// Leave leaves the staged file where it is, to be looked at.
func (s *Staged) Leave() {
	_ = s.file.Close()
	s.dir.close()
}

// RemoveStaged removes what a crash left of a staged file of target, and tells
// whether there was something. It belongs to the start of a program: where
// another is at work on target, that one gets ErrContended.
func RemoveStaged(target string) (removed bool, err error) {
	d, name, err := openTarget(target)
	if _, ok := err.(*missingDirectoryError); ok {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer d.close()
	for _, of := range []string{name, backupName(name), originalName(name)} {
		for _, leftover := range []string{stagedName(of), claimedName(of)} {
			gone, err := d.remove(leftover)
			if err != nil {
				return removed, err
			}
			removed = removed || gone
		}
	}
	return removed, nil
}
