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

// locate follows the symbolic links of dest, which may lead elsewhere than
// before, and sees to it that the pending-reload marker has been read. What
// makes that impossible may pass, so the caller tries again after an error.
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
// half written. Where there is neither a marker nor a file, perhaps because a
// file system is not mounted yet, it is to be read again.
func (r *resourceState) readMarker() error {
	pending, err := install.PendingOf(r.target)
	if err != nil {
		r.markerRead = false
		return err
	}
	have, err := install.Stat(r.target)
	r.markerRead = pending != install.None || err == nil && have.Exists
	r.partial = pending == install.Partial
	is := pending != install.None && r.ReloadCmd != "" && !r.unit.engine.options().SyncOnly
	r.set(func(s *ResourceStatus) { s.ReloadPending = is })
	return nil
}

func (r *resourceState) removeMarker() error { return install.ClearPending(r.target) }

// moveMarker moves the marker of a pending reload from one target to another.
// Where the other has no directory it needs no marker: it has to be installed,
// which sets one.
func moveMarker(from, to string) error {
	if err := install.SetPending(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return install.ClearPending(from)
}

// inheritMarker takes over the pending reload of a resource that is gone.
func (r *resourceState) inheritMarker(gone *resourceState) error {
	if err := r.locate(); err != nil {
		return err
	}
	if err := moveMarker(gone.target, r.target); err != nil {
		return err
	}
	r.set(func(s *ResourceStatus) { s.ReloadPending = true })
	return nil
}

// removeLeftovers removes the staged files of crashed runs from the directory of
// the file, unless that has been done for another resource.
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

// keepStaged leaves what would be installed beside the file, to be looked at.
func (r *resourceState) keepStaged(have install.State, want install.Want) error {
	staged, err := install.Stage(r.target, have, want)
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
	c.Old, err = install.Read(r.target)
	c.Metadata = install.MetadataChanges(have, want)
	return c, err
}

// diffable is the size of a file, before or after a change, up to which events
// hold its content.
const diffable = 256 << 10

// replacement returns the event of replacing the file, before that is done; nil
// if nobody wants it.
func (r *resourceState) replacement(have install.State, want install.Want) *Event {
	if r.unit.engine.observe == nil {
		return nil
	}
	ev := &Event{Kind: Installed, Resource: r.Name, Backend: r.Backend, Time: time.Now(), New: !have.Exists}
	if have.Size > diffable || len(want.Data) > diffable {
		return ev
	}
	if have.Exists {
		old, err := install.Read(r.target)
		if err != nil {
			return ev // no reason not to replace it
		}
		ev.Before = old
	}
	ev.After = want.Data
	ev.Public = !have.Exists || have.Mode&0o004 != 0
	return ev
}

// finishInstalls does what can wait until the reload is done: renames are made
// to survive a power cut, and whoever makes diffs is told.
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
