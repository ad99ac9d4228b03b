package resource

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// reloadError says that the file is in place but its reload failed.
type reloadError struct{ err error }

func (e *reloadError) Error() string { return "reload failed: " + e.err.Error() }

func (e *reloadError) Unwrap() error { return e.err }

func isReloadError(err error) bool {
	_, ok := errors.AsType[*reloadError](err)
	return ok
}

// errStopping ends the work on a resource because the program ends. It is no
// failure: nothing was changed.
var errStopping = errors.New("the program is stopping")

// apply makes the file of r what it should be and tells whether it installed
// one. It decides when r has to be looked at again.
func (u *unit) apply(stop, hard context.Context, r *tracked, now time.Time) (installed bool) {
	verify := !r.verifyAt.IsZero() && !r.verifyAt.After(now)
	retry := !r.retryAt.IsZero() && !r.retryAt.After(now)
	r.staleAt = time.Time{}
	if u.interval > 0 && (verify || r.verifyAt.IsZero()) {
		r.verifyAt = now.Add(u.interval)
	}
	if verify {
		r.syncedState = fileState{}
	}

	installed, change, err := u.bring(stop, hard, r, verify || retry)
	switch {
	case errors.Is(err, errStopping), errors.Is(err, errSameFailure):
		return false
	case err != nil:
		u.failed(r, err)
		return installed
	}
	if !r.owed && change == nil {
		r.record.succeeded(now)
	}
	if r.failure != nil {
		u.log.Info("resource recovered", "resource", r.Name, "dest", r.Dest, "after", r.failure.Error())
		r.failure = nil
	}
	r.retry.reset()
	r.retryAt = time.Time{}
	u.update(r, func(res *Result) {
		res.Change, res.ReloadOwed = change, r.owed
		switch {
		case change != nil:
			res.State, res.Err = Pending, nil
		case installed:
			res.State, res.Err = Changed, nil
		case r.owed && isReloadError(res.Err):
			// The reload is still to be done, and why it failed still true.
		case r.owed:
			res.State, res.Err = Changed, nil
		default:
			res.State, res.Err = InSync, nil
		}
	})
	return installed
}

// failed records why r could not be applied and when to try again. What lasts
// is logged once; a command that was run again is worth a line each time.
func (u *unit) failed(r *tracked, err error) {
	wait := r.retry.next(firstRetry, lastRetry)
	r.retryAt = time.Now().Add(wait)
	held := errors.Is(err, errHeld)
	again := r.failure != nil && r.failure.Error() == err.Error() && outputOf(err) == ""
	attrs := []any{"resource", r.Name, "dest", r.Dest, "err", err}
	if failed, ok := errors.AsType[*commandError](err); ok {
		attrs = append(attrs, "output", failed.output, "cmd", failed.line)
	}
	switch {
	case again:
		u.log.Debug("resource still cannot be applied", attrs...)
	case held:
		u.log.Warn("resource held, its file stays as it is", attrs...)
	default:
		u.log.Error("resource failed, its file stays as it is", attrs...)
	}
	r.failure = err
	u.update(r, func(res *Result) {
		res.State, res.Err, res.Change, res.ReloadOwed = Failed, err, nil, r.owed
		if held {
			res.State = Held
		}
	})
}

// errSameFailure says that what failed would only be tried again with the
// very same bytes, and that it is not yet time for that.
var errSameFailure = errors.New("nothing new to try")

// bring renders, compares and, where the file differs, installs. With Noop it
// returns the change instead. A failure with unchanged bytes is tried again
// only if again is set, so that heartbeats do not run a failing check.
func (u *unit) bring(stop, hard context.Context, r *tracked, again bool) (installed bool, change *Change, err error) {
	if r.target, err = resolve(r.Dest, r.root); err != nil {
		return false, nil, err
	}
	have, err := statFile(r.target)
	if err != nil {
		return false, nil, fmt.Errorf("compare with the disk: %w", err)
	}
	want, err := u.render(r, have)
	r.record.rendered(err)
	if err != nil {
		return false, nil, err
	}
	hash := hashOf(want)
	if have.exists && hash == r.syncedHash && have == r.syncedState {
		return false, nil, nil
	}
	differ, err := differs(r.target, have, want)
	if err != nil {
		return false, nil, fmt.Errorf("compare with the disk: %w", err)
	}
	if u.opts.Noop {
		if differ || r.owed {
			change, err = u.describe(r, have, want)
		}
		return false, change, err
	}
	if !differ {
		r.syncedHash, r.syncedState, r.partial = hash, have, false
		return false, nil, nil
	}
	if r.failure != nil && hash == r.failedHash && !again {
		return false, nil, errSameFailure
	}
	if err := u.install(stop, hard, r, have, want); err != nil {
		r.failedHash = hash
		return false, nil, err
	}
	r.failedHash = [32]byte{}
	r.syncedHash = hash
	if r.syncedState, err = statFile(r.target); err != nil {
		r.syncedState = fileState{}
	}
	return true, nil, nil
}

// install stages want, checks it, marks the reload as owed and puts it in
// place. An error means that the file is as it was.
func (u *unit) install(stop, hard context.Context, r *tracked, have fileState, want content) error {
	if r.createDirs {
		if err := os.MkdirAll(filepath.Dir(r.target), 0o755); err != nil {
			return err
		}
	}
	s, err := stage(r.target, have, want)
	if err != nil {
		return err
	}
	// The disk works while the check runs.
	synced := make(chan error, 1)
	go func() { synced <- s.sync() }()
	took, err := u.runCheck(stop, hard, r, s.path)
	if syncErr := <-synced; err == nil {
		err = syncErr
	}
	if err == nil && stop.Err() != nil {
		err = errStopping
	}
	if err == nil && r.backup && have.exists {
		err = backUp(r.target, have)
	}
	if err == nil && u.reloads() {
		err = setMark(r.target, false)
	}
	if err != nil {
		u.drop(r, s, err)
		return err
	}
	old := u.oldContent(r, have)
	if err := u.putInPlace(r, s, want); err != nil {
		if u.reloads() && !r.owed {
			err = errors.Join(err, removeMark(r.target))
		}
		return err
	}
	r.owed, r.partial = u.reloads(), false
	u.replaced(r, have, old, want)
	u.willSync(r.target)
	attrs := []any{"resource", r.Name, "dest", r.Dest, "bytes", len(want.data)}
	if took > 0 {
		attrs = append(attrs, "check_took", took)
	}
	u.log.Info("file installed", attrs...)
	return nil
}

// putInPlace renames the staged file over the target, or writes the target in
// place where it is a mount point.
func (u *unit) putInPlace(r *tracked, s *staged, want content) error {
	err := s.install()
	if !errors.Is(err, errMountPoint) {
		return err
	}
	defer s.discard()
	if !r.warned {
		r.warned = true
		u.log.Warn("dest is a mount point and is written in place: a reader may see half a file; mount its directory instead",
			"resource", r.Name, "dest", r.Dest)
	}
	if u.reloads() {
		if err := setMark(r.target, true); err != nil {
			return err
		}
	}
	if err := overwrite(r.target, want); err != nil {
		return err
	}
	if u.reloads() {
		return setMark(r.target, false)
	}
	return nil
}

// drop gets rid of a staged file that is not installed, unless it is to be
// looked at.
func (u *unit) drop(r *tracked, s *staged, err error) {
	if u.opts.KeepStageFile && !errors.Is(err, errStopping) {
		u.log.Info("staged file kept", "resource", r.Name, "dest", r.Dest, "path", s.path)
		s.release()
		return
	}
	s.discard()
}

// runCheck runs the check command on the staged file.
func (u *unit) runCheck(stop, hard context.Context, r *tracked, path string) (time.Duration, error) {
	if r.check == nil || u.opts.SyncOnly {
		return 0, nil
	}
	took, err := u.command(stop, hard, expand(r.check, path, r.Dest), r.CheckTimeout)
	if errors.Is(err, errStopping) {
		return 0, err
	}
	r.record.checked(took, err)
	if err != nil {
		return took, fmt.Errorf("check failed: %w", err)
	}
	return took, nil
}

// describe returns what installing want would change.
func (u *unit) describe(r *tracked, have fileState, want content) (*Change, error) {
	c := &Change{Dest: r.Dest, New: !have.exists, Now: want.data}
	if u.reloads() {
		c.Reload = u.reloadCmd
	}
	if c.New {
		return c, nil
	}
	old, err := os.ReadFile(r.target)
	if err != nil {
		return nil, fmt.Errorf("compare with the disk: %w", err)
	}
	c.Old = old
	if want.mode != keep && want.mode != have.mode {
		c.Metadata = append(c.Metadata, fmt.Sprintf("mode %04o -> %04o", have.mode, want.mode))
	}
	if want.uid != keep && want.uid != have.uid {
		c.Metadata = append(c.Metadata, fmt.Sprintf("owner %d -> %d", have.uid, want.uid))
	}
	if want.gid != keep && want.gid != have.gid {
		c.Metadata = append(c.Metadata, fmt.Sprintf("group %d -> %d", have.gid, want.gid))
	}
	return c, nil
}
