package engine

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"pc4patroni/resource/install"
)

// progress is how far a unit has come with a resource. It belongs to the unit's
// goroutine; what others may know is in the resource's status.
type progress struct {
	target     string // dest with its symbolic links followed
	reconciled bool   // once at least, or found not to be readable
	seenKeys   bool   // there was a key once
	usesTime   bool   // the template called datetime when it was last rendered
	markerRead bool   // the pending-reload marker that an earlier run may have left has been read
	partial    bool   // the file may be half written
	unsynced   bool   // the rename may not survive a power cut yet
	view       view   // what the file was made of

	// What was last found or put on the disk. Equal bytes to render and an
	// unchanged file mean that nothing has to be read.
	synced struct {
		hash  [sha256.Size]byte
		state install.State
	}
	failedHash [sha256.Size]byte // of what could not be installed at the last try
	logged     map[string]bool   // what is said only once

	changed   bool      // by the last reconcile, or reloaded since
	fileErr   error     // why the file is not what it should be, or nil
	reloadErr error     // why its pending reload has failed, or nil
	reported  string    // the trouble with the file that was logged last; "" is none
	heldSince time.Time // or zero
	warnAt    time.Time // when to warn of being held, or zero
	retry     backoff
	retryAt   time.Time // when to try again after a failure, or zero
}

// errNothingNew says that what failed would only be tried again with the very
// same bytes, and that it is not yet time for that.
var errNothingNew = errors.New("nothing new to try")

// reconcile makes the file of a resource what it should be and tells whether it
// installed one.
func (u *unit) reconcile(stop, kill context.Context, j job) (installed bool) {
	r := j.resourceState
	locateErr := r.locate()
	known, err := r.keys.take()
	if !known {
		r.retryAt, r.warnAt = time.Time{}, time.Time{}
		if locateErr != nil {
			r.retryAt = time.Now().Add(r.retry.next(firstRetry, maxRetry))
		}
		return false
	}
	failedHash := r.failedHash
	r.failedHash = [sha256.Size]byte{}
	var change *Change
	if err = cmp.Or(err, locateErr); err == nil {
		installed, change, err = r.apply(stop, kill, j, failedHash)
	}
	r.reconciled = r.reconciled || !errors.Is(err, errStopping)
	switch {
	case errors.Is(err, errStopping):
		u.give(r, nil, time.Time{}) // for the next turn
	case errors.Is(err, errNothingNew):
	case err != nil:
		r.failed(err, change)
	default:
		r.succeeded(installed, change)
	}
	if installed && j.place != nil {
		if len(u.reloadAfter) == 0 {
			u.reloadBy = time.Now().Add(2 * patience)
		}
		for p := j.place; p != nil; p = p.before {
			u.reloadAfter = append(u.reloadAfter, p.order)
		}
	}
	return installed
}

// apply renders, compares and, where the file differs, installs. With Noop it
// returns the change instead. A failure with unchanged bytes is tried again
// only if the job says so, so that heartbeats do not run a failing check.
func (r *resourceState) apply(stop, kill context.Context, j job, failedHash [sha256.Size]byte) (installed bool, change *Change, err error) {
	opts := r.unit.engine.options()
	have, err := install.Stat(r.target)
	if err != nil {
		return false, nil, fmt.Errorf("compare with the disk: %w", err)
	}
	want, err := r.render(have)
	r.unit.engine.emit(Event{Kind: Rendered, Resource: r.Name, Backend: r.Backend, Err: err})
	if err != nil {
		return false, nil, err
	}
	hash := sha256.Sum256(want.Data)
	if have.Exists && hash == r.synced.hash && have == r.synced.state && !j.verify && !r.partial {
		return false, nil, nil
	}
	differs, err := install.Compare(r.target, have, want)
	if err != nil {
		return false, nil, fmt.Errorf("compare with the disk: %w", err)
	}
	if opts.Noop {
		if differs || r.state().ReloadPending {
			change, err = r.describe(have, want)
			if err == nil && opts.KeepStageFile {
				err = r.keepStaged(want)
			}
		}
		return false, change, cmp.Or(err, r.preflight(want))
	}
	if !differs {
		// A missing permission is better known now than at the next failover.
		if err := r.preflight(want); err != nil {
			return false, nil, err
		}
		if r.view == nil {
			r.view = r.look()
		}
		r.synced.hash, r.synced.state, r.partial = hash, have, false
		return false, nil, nil
	}
	if hash == failedHash && !j.again {
		r.failedHash = hash
		return false, nil, errNothingNew
	}
	if err := r.install(stop, kill, j, have, want, hash); err != nil {
		if !errors.Is(err, errStopping) {
			r.failedHash = hash
		}
		return false, nil, err
	}
	return true, nil, nil
}

// preflight tells whether the file could be replaced.
func (r *resourceState) preflight(want install.Want) error {
	warnings, err := install.Preflight(r.target, want, r.CreateDirs)
	r.warn(install.Result{Warnings: warnings})
	return err
}

// install stages want, waits for its turn, checks it and puts it in place.
func (r *resourceState) install(stop, kill context.Context, j job, have install.State, want install.Want, hash [sha256.Size]byte) error {
	u := r.unit
	opts := u.engine.options()
	if r.CreateDirs {
		if err := install.MakeDirs(r.target); err != nil {
			return err
		}
	}
	staged, err := install.Stage(r.target, want)
	if err != nil {
		return err
	}
	// The disk works while others have their turn, and while the check runs.
	synced := make(chan error, 1)
	go func() { synced <- staged.Sync() }()
	took, err := r.check(stop, kill, j, staged.Path())
	if syncErr := <-synced; err == nil {
		err = syncErr
	}
	if err == nil && stop.Err() != nil {
		err = errStopping
	}
	if err != nil {
		r.drop(staged, err)
		return err
	}
	event := r.replacement(have, want)
	result, err := staged.Install(install.Options{Reload: u.reloads(), Backup: r.Backup})
	if err != nil {
		// A file that is written in place may be anything now.
		return errors.Join(err, r.readMarker())
	}
	r.partial, r.unsynced = false, true
	r.set(func(s *ResourceStatus) { s.ReloadPending = u.reloads() })
	r.warn(result)
	why := r.because(have, hash)
	if event != nil {
		event.Change = why
		r.installed = append(r.installed, *event)
	}
	attrs := []any{"resource", r.Name, "dest", r.Dest, "bytes", len(want.Data)}
	if why != "" {
		attrs = append(attrs, "change", why)
	}
	if took > 0 {
		attrs = append(attrs, "check_took", took)
	}
	if opts.SyncOnly && r.hasCommands() {
		attrs = append(attrs, "sync_only", true)
	}
	u.log.Info("file installed", attrs...)
	r.synced.hash, r.synced.state = hash, result.State
	return nil
}

// because says in words why the file was replaced, as far as that is known.
func (r *resourceState) because(have install.State, hash [sha256.Size]byte) string {
	now := r.look()
	defer func() { r.view = now }()
	switch {
	case hash != r.synced.hash:
		return now.since(r.view)
	case !have.Exists:
		return "the file was gone"
	case have != r.synced.state:
		return "changed by hand at " + have.ModTime().Format("15:04:05") + ", overwritten"
	}
	return ""
}

// check waits for the turn of the resource and runs the check command on the
// staged file.
func (r *resourceState) check(stop, kill context.Context, j job, path string) (time.Duration, error) {
	u := r.unit
	if !u.await(stop, j.place.turning()) {
		return 0, errStopping
	}
	if r.CheckCmd == "" || u.engine.options().SyncOnly {
		return 0, nil
	}
	took, err := u.command(stop, kill, r.Check(path), r.CheckTimeout)
	if errors.Is(err, errStopping) {
		return 0, err
	}
	u.engine.emit(Event{Kind: Checked, Resource: r.Name, Backend: r.Backend, Took: took, Err: err, Output: outputOf(err), Public: err != nil && r.tellsPublic()})
	if err != nil {
		return took, fmt.Errorf("check failed: %w", err)
	}
	return took, nil
}

// drop removes a staged file that is not installed, unless -keep-stage-file keeps
// it.
func (r *resourceState) drop(staged *install.Staged, err error) {
	if r.unit.engine.options().KeepStageFile && !errors.Is(err, errStopping) {
		r.unit.log.Info("staged file kept", "resource", r.Name, "dest", r.Dest, "path", staged.Path())
		staged.Leave()
		return
	}
	staged.Discard()
}

// warn logs each warning once.
func (r *resourceState) warn(result install.Result) {
	for _, warning := range result.Warnings {
		if r.firstTime(warning) {
			r.unit.log.Warn("file does not have everything that was asked for", "resource", r.Name, "dest", r.Dest, "err", warning)
		}
	}
	if result.Original != "" {
		r.unit.log.Info("replaced a file that another program wrote, keeping a copy beside it", "resource", r.Name, "dest", r.Dest, "copy", result.Original)
	}
}

// maxLogged bounds how many sentences are remembered as logged.
const maxLogged = 100

// firstTime tells whether something is to be logged, which is said only once.
func (r *resourceState) firstTime(text string) bool {
	if r.logged[text] {
		return false
	}
	if r.logged == nil || len(r.logged) >= maxLogged {
		r.logged = map[string]bool{}
	}
	r.logged[text] = true
	return true
}
