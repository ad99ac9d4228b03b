package engine

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"pc4patroni/resource/install"
)

// locate follows the symbolic links of dest, which may have been pointed
// elsewhere, and reads the pending-reload marker unless that has been done. What
// causes an error may pass, so the caller tries again.
func (r *resourceState) locate() error {
	opts := r.unit.engine.options()
	target, err := install.Resolve(r.Dest, opts.DestDir)
	if err != nil {
		return err
	}
	if target != r.target {
		if r.target != "" && r.state().ReloadPending && !opts.Noop {
			if err := moveMarker(r.target, target); err != nil {
				return err
			}
		}
		r.target, r.markerRead = target, false
	}
	if r.markerRead {
		return nil
	}
	wasPending := r.state().ReloadPending
	if err := r.readMarker(); err != nil {
		return err
	}
	if r.state().ReloadPending && !wasPending {
		r.unit.log.Info("a reload is pending since an earlier run", "resource", r.Name, "dest", r.Dest)
	}
	r.removeLeftovers()
	return nil
}

// readMarker finds out whether a reload is pending, and whether the file may be
// half written. If there is neither a marker nor a file, a file system may not be
// mounted yet, so the marker will be read again.
func (r *resourceState) readMarker() error {
	pending, err := install.PendingOf(r.target)
	if err != nil {
		r.markerRead = false
		return err
	}
	have, err := install.Stat(r.target)
	r.markerRead = pending != install.None || err == nil && have.Exists
	r.partial = pending == install.Partial
	reloads := r.ReloadCmd != "" && !r.unit.engine.options().SyncOnly
	// What is pending without a marker is so because the disk refused one.
	r.set(func(s *ResourceStatus) { s.ReloadPending = reloads && (s.ReloadPending || pending != install.None) })
	return nil
}

// hasFile tells whether a proxy would find the file now.
func (r *resourceState) hasFile() bool {
	_, err := os.Stat(r.target)
	return !errors.Is(err, fs.ErrNotExist)
}

func (r *resourceState) removeMarker() error { return install.ClearPending(r.target) }

// moveMarker moves the marker of a pending reload from one target to another.
// If the other has no directory yet, its file has to be installed first, and
// that sets a marker.
func moveMarker(from, to string) error {
	if err := install.SetPending(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return install.ClearPending(from)
}

// inheritReload takes over the pending reload of a resource that is gone. Its error
// is about the marker: the reload is pending anyway.
func (r *resourceState) inheritReload(gone *resourceState) error {
	r.set(func(s *ResourceStatus) { s.ReloadPending = true })
	if err := r.locate(); err != nil {
		return err
	}
	return moveMarker(gone.target, r.target)
}

// removeLeftovers removes the staged files of crashed runs from the file's
// directory, unless another resource had that done.
func (r *resourceState) removeLeftovers() {
	e, dir := r.unit.engine, filepath.Dir(r.target)
	if e.options().Noop {
		return
	}
	if _, done := e.tidied.LoadOrStore(dir, true); done {
		return
	}
	removed, err := install.RemoveLeftovers(r.target)
	if removed > 0 {
		r.unit.log.Info("staged files of an earlier run removed", "dir", dir, "files", removed)
	}
	if err != nil {
		r.unit.log.Warn("staged files of an earlier run cannot be removed", "dir", dir, "err", err)
	}
}

// keepStaged stages what would be installed, for somebody to look at.
func (r *resourceState) keepStaged(want install.Want) error {
	staged, err := install.Stage(r.target, want)
	if err != nil {
		return err
	}
	r.drop(staged, nil)
	return nil
}

// describe returns what installing want would change.
func (r *resourceState) describe(have install.State, want install.Want) (*Change, error) {
	c := &Change{Dest: r.Dest, New: !have.Exists, Now: want.Data}
	if !r.unit.engine.options().SyncOnly {
		c.Reload = r.ReloadCmd
	}
	if c.New {
		return c, nil
	}
	var err error
	c.Old, err = install.Read(r.target, have)
	c.Metadata = install.MetadataChanges(have, want)
	return c, err
}

// diffable is the size of a file, before or after a change, up to which events
// hold its content.
const diffable = 256 << 10

// replacement prepares the event of replacing the file while its old content is
// still there. It returns nil if nobody observes events.
func (r *resourceState) replacement(have install.State, want install.Want) *Event {
	if r.unit.engine.observe == nil {
		return nil
	}
	ev := &Event{Kind: Installed, Resource: r.Name, Backend: r.Backend, Time: time.Now(), New: !have.Exists}
	if have.Size > diffable || len(want.Data) > diffable {
		return ev
	}
	if have.Exists {
		old, err := install.Read(r.target, have)
		if err != nil {
			return ev // the file is replaced all the same
		}
		ev.Before = old
	}
	ev.After = want.Data
	ev.Public = !have.Exists || have.Mode&0o004 != 0
	return ev
}

// finishInstalls does what can wait until after the reload: it makes the renames
// survive a power cut, and emits the events of the installs.
func (u *unit) finishInstalls() {
	for _, r := range u.resources {
		u.finishInstall(r)
	}
}

func (u *unit) finishInstall(r *resourceState) {
	if r.unsynced {
		r.unsynced = false
		if err := install.SyncDir(r.target); err != nil {
			u.log.Warn("directory not synced: a power cut now could bring the old file back", "resource", r.Name, "dest", r.Dest, "err", err)
		}
	}
	for _, ev := range r.installed {
		if bytes.Equal(ev.Before, ev.After) && !ev.New {
			ev.Before, ev.After = nil, nil
		}
		ev.Public = ev.Public && isPublic(r.target)
		u.engine.emit(ev)
	}
	r.installed = nil
}

// tellsPublic tells whether every user of the host may read the file as it is
// and as it will be, so that what a command says of it is no secret.
func (r *resourceState) tellsPublic() bool {
	return (r.Mode == install.Keep || r.Mode&0o004 != 0) && isPublic(r.target)
}

// isPublic tells whether every user of the host may read the file at path.
func isPublic(path string) bool {
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o004 == 0 {
		return false
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm()&0o001 == 0 {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
	}
}
