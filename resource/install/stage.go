package install

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
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
	ours     State // of file: device and inode tell it from another's
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
	s := &Staged{dir: d, name: name, target: target, want: want}
	if s.file, s.ours, err = d.stage(name); err != nil {
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
	if err := d.setTime(stagedName(name), want.ModTime); err != nil {
		return nil, err
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
func (d *directory) stage(name string) (*os.File, State, error) {
	if _, err := d.remove(stagedName(name)); err != nil {
		return nil, State{}, err
	}
	if err := step("create"); err != nil {
		return nil, State{}, explain(err, "create", d.join(stagedName(name)), d.path)
	}
	file, err := d.create(stagedName(name))
	if errors.Is(err, fs.ErrExist) {
		return nil, State{}, contended(d.join(name))
	}
	if err != nil {
		return nil, State{}, err
	}
	markOurs(file)
	ours, err := stateOfOpen(file.Fd())
	if err != nil {
		_ = file.Close()
		return nil, State{}, explain(err, "stat", d.join(stagedName(name)), d.path)
	}
	return file, ours, nil
}

// writeSize bounds a single write, so that tests can stop between two.
const writeSize = 64 << 10

func write(file *os.File, data []byte) error {
	for at := 0; ; {
		if err := step("write"); err != nil {
			return err
		}
		n, err := file.WriteAt(data[at:min(at+writeSize, len(data))], int64(at))
		if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
			return pathErr.Err
		}
		if err != nil {
			return err
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
	State    State     // of the target now
	InPlace  bool      // the target is a mount point and was written in place
	Original string    // the path of the copy that the first takeover left, or ""
	Warnings []Warning // what could not be done as wanted
}

// Install puts the staged file in place of its target, and before that sets the
// marker of a pending reload. After an error the target is what it was, unless
// it is a mount point: then it may be half of the new file, or all of it, and
// PendingOf says so. The staged file is gone in any case.
func (s *Staged) Install(opts Options) (Result, error) {
	defer s.Discard()
	if !s.synced {
		if err := s.Sync(); err != nil {
			return Result{}, err
		}
	}
	before, err := s.dir.pending(s.name)
	if err != nil {
		return Result{}, err
	}
	original := ""
	if before != Partial { // half a file is nothing to keep, least of all over a whole copy
		if original, err = s.dir.keepCopies(s.name, opts.Backup); err != nil {
			return Result{}, err
		}
	}
	if err := s.dir.claim(s.name, s.ours); err != nil {
		return Result{}, err
	}
	result := Result{Original: original, Warnings: s.warnings}
	err = s.replace(opts)
	switch {
	case errors.Is(err, unix.EBUSY):
		result.InPlace = true
		if result.Warnings, err = s.dir.overwrite(s.name, s.want, before); err != nil {
			return Result{}, err
		}
		result.Warnings = append(result.Warnings, mountWarning(s.target))
	case errors.Is(err, ErrContended):
		return Result{}, err // the other one's reload may be pending
	case err != nil:
		return Result{}, errors.Join(err, s.dir.restoreMarker(s.name, before))
	case before == Partial:
		// What was half written is gone; only the reload stays pending.
		if _, err := s.dir.remove(partialName(s.name)); err != nil {
			return Result{}, err
		}
	}
	result.State, err = s.dir.statRegular(s.name)
	return result, err
}

// replace renames the claimed file over the target, which is the moment at
// which a reader sees it. What can fail comes before: the marker, because
// after the rename this process may be killed at once, and closing, because it
// may report that the data could not be written.
func (s *Staged) replace(opts Options) error {
	if opts.Reload {
		if err := s.dir.mark(reloadName(s.name)); err != nil {
			return err
		}
	}
	if err := step("close"); err != nil {
		return err
	}
	if err := s.file.Close(); err != nil {
		return fmt.Errorf("close the staged file of %s: %w", s.target, err)
	}
	return s.dir.renameClaimed(s.name)
}

// claim moves the staged file of name to a name at which nobody writes, and
// sees that it is ours. Another process may stage the same target at any time:
// without this, its half-written file could be renamed over the target
// between a look and the rename. What stays at the claimed name is whole,
// checked and synced, whosever it is. (Three processes that meet within the
// same few microseconds could still outwit it. Locks could not be, but can be
// held forever by anybody who may open the file.)
func (d *directory) claim(name string, ours State) error {
	is, _, err := d.stat(stagedName(name))
	if err != nil {
		return err
	}
	if !is.sameFile(ours) {
		return contended(d.join(name))
	}
	if err := step("claim"); err != nil {
		return err
	}
	err = d.rename(stagedName(name), claimedName(name))
	if errors.Is(err, fs.ErrNotExist) {
		return contended(d.join(name))
	}
	if err != nil {
		return explain(err, "rename", d.join(stagedName(name)), d.path)
	}
	is, _, err = d.stat(claimedName(name))
	if err == nil && !is.sameFile(ours) {
		_, err = d.remove(claimedName(name)) // its owner finds it gone, and is contended too
		err = cmp.Or(err, contended(d.join(name)))
	}
	return err
}

func contended(target string) error { return fmt.Errorf("install %s: %w", target, ErrContended) }

// renameClaimed is what makes a file visible under its name.
func (d *directory) renameClaimed(name string) error {
	err := step("rename")
	if err == nil {
		err = d.rename(claimedName(name), name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return contended(d.join(name)) // another renamed it, or removed it as a leftover
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

// Discard removes the staged file. After Install or Leave it does nothing.
func (s *Staged) Discard() {
	if s.dir.fd < 0 {
		return
	}
	s.dir.drop(s.name, s.ours)
	s.Leave()
}

// drop removes the staged file of name, wherever it is on its way, if it is
// ours. What cannot be removed now is replaced by the next Stage.
func (d *directory) drop(name string, ours State) {
	for _, path := range []string{stagedName(name), claimedName(name)} {
		if is, _, err := d.stat(path); err == nil && is.sameFile(ours) {
			_, _ = d.remove(path)
		}
	}
}

// Leave leaves the staged file where it is, to be looked at.
func (s *Staged) Leave() {
	_ = s.file.Close() // a second time does no harm, and the first was looked at
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
