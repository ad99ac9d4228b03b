package install

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Options says what else belongs to an installation.
type Options struct {
	// Reload: a program has to be told afterwards; see PendingOf.
	Reload bool
	// Backup keeps a copy of the replaced file beside it, as NAME.bak.
	Backup bool
}

// Result says what Install did.
type Result struct {
	State    State    // of the target now
	Original string   // the path of the copy that the first takeover left, or ""
	Warnings []string // what could not be done as wanted
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
	result := Result{Warnings: s.warnings}
	if before != Partial { // half a file must not replace a whole copy
		if result.Original, err = s.dir.keepCopies(s.name, opts.Backup); err != nil {
			return Result{}, err
		}
	}
	err = s.replace(opts.Reload)
	inPlace := errors.Is(err, unix.EBUSY)
	if inPlace {
		result.Warnings, err = s.dir.overwrite(s.name, s.want)
		result.Warnings = append(result.Warnings, mountWarning(s.dir.join(s.name)))
	}
	if err == nil && (inPlace || before == Partial) {
		err = s.dir.remove(partialName(s.name))
	}
	if err != nil {
		if now, _ := s.dir.pending(s.name); now == Reload && before == None {
			err = errors.Join(err, s.dir.remove(reloadName(s.name))) // nothing has changed
		}
		return Result{}, err
	}
	result.State, err = s.dir.state(s.name)
	return result, err
}

// replace renames the staged file over the target, which is the moment at
// which a reader sees it. What can fail comes first: the marker, because after
// the rename this process may be killed at once, and closing, because it may
// report that the data could not be written.
func (s *Staged) replace(reload bool) error {
	if reload {
		if err := s.dir.mark(reloadName(s.name)); err != nil {
			return err
		}
	}
	if err := do("close", s.Path(), s.file.Close); err != nil {
		return explain(err, "stage", s.dir.join(s.name))
	}
	return s.dir.rename(stagedName(s.name), s.name)
}
