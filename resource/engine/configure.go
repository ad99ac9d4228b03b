package engine

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"pc4patroni/resource"
)

// plan distributes the resources of a set to units: those that run already, as
// far as they exist, and new ones. What stays as it is stays the same
// resourceState; what was declared otherwise before takes over from that. It
// returns the units with any resources, and all of those.
func (e *Engine) plan(set *resource.Set, daemon bool, leaving []*resourceState) (units []*unit, all []*resourceState) {
	running := map[string]*unit{}
	for _, u := range e.units {
		running[u.name] = u
	}
	current := map[string]*resourceState{}
	for _, r := range e.resources {
		current[r.File] = r
	}
	planned := map[string]*unit{}
	for _, res := range set.Resources {
		name := "resource " + res.File
		if res.ReloadCmd != "" {
			name = "reload " + res.ReloadCmd
		}
		u := planned[name]
		if u == nil {
			if u = running[name]; u == nil || len(u.planned) == 0 {
				u = e.newUnit(name, res, daemon)
				u.after = running[name]
			}
			u.planned = nil
			planned[name] = u
			units = append(units, u)
		}
		r := current[res.File]
		if r == nil || r.unit != u || !r.SameAs(res) {
			r = u.newResource(res)
			r.takeOverFrom(current[res.File])
			for _, other := range slices.Concat(e.resources, leaving) {
				if other.File == res.File || other.Dest == res.Dest {
					r.awaits = append(r.awaits, other)
				}
			}
		}
		u.planned = append(u.planned, r)
		all = append(all, r)
	}
	return units, all
}

// takeOverFrom has the resource go on with the keys of before, which may be nil,
// and look as that did until it has been reconciled.
func (r *resourceState) takeOverFrom(before *resourceState) {
	if before == nil {
		return
	}
	r.before = before
	if r.SameKeys(before.Resource) {
		r.keys, r.inherited = before.keys, true
	}
	if r.Dest != before.Dest {
		return
	}
	was := before.snapshot()
	s := &r.status
	s.ReloadPending, s.LastSuccess = was.ReloadPending, was.LastSuccess
	if r.keys.areKnown() {
		s.State, s.Err, s.Since = was.State, was.Err, was.Since
	}
}

// assign has the unit work on other resources as soon as it has interrupted what
// it does.
func (u *unit) assign(resources []*resourceState) {
	u.mu.Lock()
	u.assigned = append(u.assigned, resources)
	if u.interrupt != nil {
		u.interrupt()
	}
	u.mu.Unlock()
	u.verifyNow()
}

// adopt goes on with the resources that were assigned. It first releases those
// that others may be waiting for, and then waits for those of others, so that no
// two units ever wait for each other.
func (u *unit) adopt(stop context.Context) {
	for stop.Err() == nil {
		u.mu.Lock()
		if len(u.assigned) == 0 {
			u.mu.Unlock()
			return
		}
		next := u.assigned[0]
		u.assigned = u.assigned[1:]
		u.mu.Unlock()

		was := u.resources
		gone := slices.DeleteFunc(slices.Clone(was), func(r *resourceState) bool { return slices.Contains(next, r) })
		u.release(gone)
		u.resources = next
		if u.after != nil || slices.ContainsFunc(next, func(r *resourceState) bool { return len(r.awaits) > 0 }) {
			u.occupied.Store(&time.Time{}) // others need not wait for this one, which waits itself
		}
		if old := u.after; old != nil && u.await(stop, old.ended) {
			u.reloadBackoff, u.reloadAt, u.lastReload, u.changedAt = old.reloadBackoff, old.reloadAt, old.lastReload, old.changedAt
			u.after = nil
		}
		for _, r := range next {
			for _, other := range r.awaits {
				if !u.await(stop, other.released) {
					return
				}
			}
		}
		u.occupied.Store(nil)
		aside(func() {
			for _, r := range next {
				if !slices.Contains(was, r) {
					r.begin()
				}
			}
			u.inheritReloads(gone)
		})
	}
}

// release lets go of resources.
func (u *unit) release(resources []*resourceState) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, r := range resources {
		r.place.finish()
		r.place = nil
		close(r.released)
	}
}

// begin finds out what an earlier run of the program, or the unit that worked on
// the resource before, has left to do.
func (r *resourceState) begin() {
	if old := r.before; old != nil {
		if old.Dest == r.Dest {
			r.progress = old.progress
			r.markerRead, r.retryAt, r.failedHash = false, time.Time{}, [len(r.failedHash)]byte{}
			r.retry.reset()
		}
		r.reported, r.seenKeys, r.logged = old.reported, old.seenKeys, old.logged
		if !r.keys.areKnown() {
			r.reconciled, r.fileErr = false, nil
		}
		if old.Dest == r.Dest {
			r.set(func(s *ResourceStatus) {
				s.ReloadPending, s.LastSuccess = old.status.ReloadPending, old.status.LastSuccess
			})
		}
	}
	r.before, r.awaits = nil, nil
	if err := r.locate(); err != nil {
		r.partial = true // as far as is known
		r.retryAt = time.Now().Add(r.retry.next(firstRetry, maxRetry))
		r.unit.log.Warn("cannot read the pending-reload marker, trying again", "resource", r.Name, "dest", r.Dest, "err", err)
	}
}

// inheritReloads takes over the reloads that are pending for files that are
// nobody's any more. Those of the others have their markers.
func (u *unit) inheritReloads(gone []*resourceState) {
	for _, r := range gone {
		if len(u.resources) == 0 || u.engine.hasDest(r.Dest) || !r.status.ReloadPending {
			continue
		}
		if err := u.resources[0].inheritReload(r); err != nil {
			u.log.Warn("cannot move the marker of a pending reload: the reload is done nevertheless, unless the program is killed before",
				"resource", r.Name, "dest", r.Dest, "err", err)
		}
	}
}

// hasDest tells whether a resource of now writes dest.
func (e *Engine) hasDest(dest string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.ContainsFunc(e.resources, func(r *resourceState) bool { return r.Dest == dest })
}

// keepBroken returns set with the resources that are broken in it as they are
// in old.
func keepBroken(old, set *resource.Set) *resource.Set {
	kept := &resource.Set{Resources: slices.Clone(set.Resources), Broken: set.Broken}
	for _, b := range set.Broken {
		i := slices.IndexFunc(old.Resources, func(r *resource.Resource) bool { return r.File == b.File })
		if i < 0 || slices.ContainsFunc(kept.Resources, func(r *resource.Resource) bool { return r.Dest == old.Resources[i].Dest }) {
			continue
		}
		kept.Resources = append(kept.Resources, old.Resources[i])
	}
	slices.SortFunc(kept.Resources, func(a, b *resource.Resource) int { return compare(a.File, b.File) })
	return kept
}

// logBroken logs what is wrong with each resource that cannot be used, and which
// of those that could not be used can be now.
func logBroken(log *slog.Logger, old, set *resource.Set) {
	usable := func(file string) bool {
		return slices.ContainsFunc(set.Resources, func(r *resource.Resource) bool { return r.File == file })
	}
	for _, b := range set.Broken {
		if usable(b.File) {
			log.Error("resource cannot be used as it is now, its last good version stays in use", "resource", b.Name, "err", b.Err)
		} else {
			log.Error("resource cannot be used", "resource", b.Name, "err", b.Err)
		}
	}
	for _, b := range old.Broken {
		stillBroken := slices.ContainsFunc(set.Broken, func(now resource.Broken) bool { return now.File == b.File })
		if !stillBroken && usable(b.File) {
			log.Info("resource recovered", "resource", b.Name, "after", b.Err.Error())
		}
	}
}
