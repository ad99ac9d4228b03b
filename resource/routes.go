package resource

import (
	"time"

	"pc4patroni/backends"
)

// routes tells which resources a key belongs to. It does not change once made
// and may be used by several goroutines.
type routes struct {
	byPath map[string][]route
	all    []route
}

// route leads to a resource of a unit.
type route struct {
	unit     *unit
	resource *tracked
}

func newRoutes(units []*unit, backend string) *routes {
	rs := &routes{byPath: map[string][]route{}}
	for _, u := range units {
		for _, r := range u.resources {
			if r.Backend == backend {
				rs.add(route{u, r})
			}
		}
	}
	return rs
}

func (rs *routes) add(to route) {
	rs.all = append(rs.all, to)
	for _, path := range to.resource.Paths {
		rs.byPath[path] = append(rs.byPath[path], to)
	}
}

// without returns the routes to all other resources.
func (rs *routes) without(denied map[route]error) *routes {
	left := &routes{byPath: map[string][]route{}}
	for _, to := range rs.all {
		if denied[to] == nil {
			left.add(to)
		}
	}
	return left
}

// paths returns what has to be loaded for all of them.
func (rs *routes) paths() []string {
	paths := make([]string, 0, len(rs.byPath))
	for path := range rs.byPath {
		paths = append(paths, path)
	}
	return backends.Minimize(paths)
}

// groups returns the paths of each resource: only they have to fit together.
func (rs *routes) groups() [][]string {
	groups := make([][]string, len(rs.all))
	for i, to := range rs.all {
		groups[i] = to.resource.Paths
	}
	return groups
}

// each calls visit for every resource whose paths cover key. A resource's own
// paths do not overlap, so none is visited twice.
func (rs *routes) each(key string, visit func(route)) {
	for _, r := range rs.byPath[key] {
		visit(r)
	}
	for i := len(key) - 1; i >= 0; i-- {
		if key[i] != '/' {
			continue
		}
		if i+1 < len(key) { // what lies below a path does not include the path
			for _, r := range rs.byPath[key[:i+1]] {
				visit(r)
			}
		}
		if i > 0 {
			for _, r := range rs.byPath[key[:i]] {
				visit(r)
			}
		}
	}
}

// deliverAll puts a snapshot into the mailboxes of all resources.
func (rs *routes) deliverAll(values map[string]string, at time.Time) {
	deltas := newDeltas(len(rs.all))
	for _, to := range rs.all {
		deltas.of(to, at).full = true
	}
	for key, value := range values {
		rs.each(key, func(to route) {
			d := deltas.of(to, at)
			d.changes = append(d.changes, backends.Change{Key: key, Value: value})
		})
	}
	deltas.put()
}

// deliver puts changes into the mailboxes of the resources they concern.
func (rs *routes) deliver(changes []backends.Change, at time.Time) {
	deltas := newDeltas(1)
	for _, c := range changes {
		rs.each(c.Key, func(to route) {
			d := deltas.of(to, at)
			d.changes = append(d.changes, c)
		})
	}
	deltas.put()
}

// deltaSet gathers deltas by unit, so that each unit gets its own at once.
type deltaSet map[*unit]map[*tracked]*delta

func newDeltas(n int) deltaSet { return make(deltaSet, n) }

func (s deltaSet) of(to route, at time.Time) *delta {
	byResource := s[to.unit]
	if byResource == nil {
		byResource = map[*tracked]*delta{}
		s[to.unit] = byResource
	}
	d := byResource[to.resource]
	if d == nil {
		d = &delta{at: at}
		byResource[to.resource] = d
	}
	return d
}

func (s deltaSet) put() {
	for u, deltas := range s {
		u.mailbox.put(deltas)
	}
}
