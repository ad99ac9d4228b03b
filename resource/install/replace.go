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

// overwrite writes want into the existing file called name, which is a mount
// point. The marker says Partial from before the content changes; the caller
// removes it after success. After an error without it, nothing has changed.
func (d *directory) overwrite(name string, want Want) (warnings []string, err error) {
	file, have, err := d.open(name, unix.O_RDWR)
	if err != nil {
		return nil, err
	}
	defer file.Close() // what it could report, the sync has reported
	// What is likeliest to fail comes before the content changes: the owner and
	// mode, and room on the disk, where the file system can reserve that.
	markOurs(file)
	if len(MetadataChanges(have, want)) > 0 {
		if warnings, err = setMetadata(file, d.join(name), nil, have, want); err != nil {
			return nil, err
		}
	}
	size := int64(len(want.Data))
	reserve := func() error { return unix.Fallocate(int(file.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, max(size, 1)) }
	if err := do("reserve", file.Name(), reserve); err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		return nil, explain(err, "write in place", d.join(name))
	}
	if err := d.mark(partialName(name)); err != nil {
		return nil, err
	}
	err = write(file, want.Data)
	if err == nil {
		err = do("truncate", file.Name(), func() error { return file.Truncate(size) })
	}
	if err == nil {
		err = do("sync", file.Name(), file.Sync)
	}
	if err != nil {
		return nil, explain(err, "write in place", d.join(name))
	}
	return warnings, d.setTime(name, want.ModTime)
}
