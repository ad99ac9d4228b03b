package engine

import (
	"log/slog"
	"slices"
	"time"

	"pc4patroni/resource"
)

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
			log.Error("resource cannot be used as it is now, it goes on as it was", "resource", b.Name, "err", b.Err)
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

// match pairs the units that run with those of a new set: it returns those that
// go on, the new ones that have to be started, and those that have to end.
func match(running, units []*unit) (kept, fresh, ended []*unit) {
	ended = slices.Clone(running)
	for _, u := range units {
		i := slices.IndexFunc(ended, func(old *unit) bool { return old.sameAs(u) })
		if i < 0 {
			fresh = append(fresh, u)
			continue
		}
		kept = append(kept, ended[i])
		ended = slices.Delete(ended, i, i+1)
	}
	return kept, fresh, ended
}

// sameAs tells whether both units do the same. No two units of a set do.
func (u *unit) sameAs(other *unit) bool {
	return u.reloadCmd == other.reloadCmd && slices.EqualFunc(u.resources, other.resources, func(a, b *resourceState) bool {
		return a.File == b.File && a.SameAs(b.Resource)
	})
}

// succeed has each fresh unit replace those of the ended ones that have its
// reload command or one of its files.
func succeed(fresh, ended []*unit) {
	for _, u := range fresh {
		for _, old := range ended {
			replaces := u.reloadCmd != "" && u.reloadCmd == old.reloadCmd
			for _, r := range u.resources {
				for _, before := range old.resources {
					replaces = replaces || r.Dest == before.Dest || r.File == before.File
					if r.SameKeys(before.Resource) {
						r.heirOf = before.keys
					}
					if r.File == before.File && r.Dest == before.Dest {
						r.replaces = before
					}
				}
			}
			if replaces {
				u.replaces = append(u.replaces, old)
			}
		}
	}
}

// inheritStatus has the resource look as it did in the ended unit until it has
// been reconciled.
func (r *resourceState) inheritStatus() {
	if r.replaces == nil {
		return
	}
	was := r.replaces.unit.snapshot()[r.replaces.index]
	r.replaces = nil
	r.set(func(s *ResourceStatus) {
		s.ReloadPending, s.LastSuccess = was.ReloadPending, was.LastSuccess
		if r.keys.areKnown() {
			s.State, s.Err, s.Since = was.State, was.Err, was.Since
		}
	})
}

// takeOver finds out what is left to do by an earlier run of the program, and by
// the units that this one replaces.
func (u *unit) takeOver() {
	for _, r := range u.resources {
		if err := r.locate(); err != nil {
			r.partial = true // for all that is known
			r.retryAt = time.Now().Add(r.retry.next(firstRetry, maxRetry))
			u.log.Warn("the pending-reload marker cannot be read, trying again", "resource", r.Name, "dest", r.Dest, "err", err)
		}
	}
	for _, old := range u.replaces {
		for _, before := range old.resources {
			for _, r := range u.resources {
				if r.File == before.File {
					r.reported, r.seenKeys = before.reported, before.seenKeys
					r.problems = before.problems
					if r.Dest == before.Dest {
						r.synced, r.view = before.synced, before.view
					}
				}
			}
		}
		if old.reloadCmd == u.reloadCmd && u.reloadCmd != "" {
			u.reloadRetry, u.reloadAt, u.lastReload = old.reloadRetry, old.reloadAt, old.lastReload
			u.changedAt = earliest(u.changedAt, old.changedAt)
			u.inheritReloads(old)
		}
	}
}

// hasDest tells whether a resource of now writes dest.
func (e *Engine) hasDest(dest string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.ContainsFunc(e.set.Resources, func(r *resource.Resource) bool { return r.Dest == dest })
}

// inheritReloads takes over the reloads that an ended unit left pending for
// files that are nobody's any more. Those of the others have their markers.
func (u *unit) inheritReloads(old *unit) {
	for _, before := range old.resources {
		if u.engine.hasDest(before.Dest) || !before.state().ReloadPending {
			continue
		}
		err := u.resources[0].inheritMarker(before)
		if err != nil {
			u.log.Error("a pending reload cannot be taken over", "resource", before.Name, "dest", before.Dest, "err", err)
		}
	}
}
