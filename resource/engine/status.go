package engine

import (
	"errors"
	"slices"
	"strings"
	"time"

	"pc4patroni/backends"
	"pc4patroni/resource"
)

// ErrUnreachable is wrapped by the error of a resource whose backend could not
// be read.
var ErrUnreachable = errors.New("backend not read")

// ErrUnusable is wrapped by the error of a resource whose backend was not even
// tried, because its settings cannot be right.
var ErrUnusable = errors.New("backend cannot be used")

// State is the state of a resource.
type State int

const (
	// Waiting: its keys have not been read yet.
	Waiting State = iota
	// InSync: the file was what it should be.
	InSync
	// Changed: the file was replaced, or a pending reload was done.
	Changed
	// Pending: with Noop, something would change.
	Pending
	// Held: the cluster has not what the template needs now, such as a primary.
	// The file stays as it is.
	Held
	// Failed: the template can never be rendered as it is, or the file could not
	// be compared, staged, checked or installed, or the reload failed.
	Failed
)

func (s State) String() string {
	return [...]string{"waiting", "in sync", "changed", "pending", "held", "failed"}[s]
}

// Status is how Run is doing.
type Status struct {
	// Resources are in the order of their file names, broken ones included.
	Resources []ResourceStatus
	Backends  map[string]BackendStatus
	// Outdated says that the configuration on disk differs from the one that runs. The
	// engine does not know; who does sets it.
	Outdated bool
}

// ResourceStatus is the state of a resource, and why.
type ResourceStatus struct {
	Name, File, Dest, Backend string
	// Declared is the resource; nil if its file is broken.
	Declared *resource.Resource

	State State
	// Err says why the resource is Waiting, Held or Failed.
	Err error
	// Since is when it came into that state.
	Since time.Time
	// ReloadPending says that the file is in place and its reload is not done.
	ReloadPending bool
	// LastSuccess is when the file was last found to be, or made, what it should
	// be, with its reload done.
	LastSuccess time.Time
	// NextAttempt is when what failed is tried again, or zero.
	NextAttempt time.Time
	// Change is what would change, with Noop.
	Change *Change
	// Checks and Reloads tell whether the resource has such a command to run.
	Checks, Reloads bool
}

// Change is the difference that reconciling would make to a file.
type Change struct {
	Dest     string
	New      bool // there is no such file yet
	Old, Now []byte
	// Metadata says in words what would change besides the bytes, such as
	// "mode 0644 -> 0640"; it is empty when nothing would.
	Metadata []string
	// Reload is the command that would run, or "".
	Reload string
}

// BackendStatus is the state of a backend.
type BackendStatus struct {
	// Connected says that the keys are up to date as far as can be known.
	Connected bool
	// Err says why not; nil before the first attempt.
	Err error
	// Since is when that began.
	Since time.Time
	// LastHeard is when the backend last said something.
	LastHeard time.Time
	// Version is the newest that was heard of.
	Version backends.Version
}

// Keys are the keys that a resource sees.
type Keys struct {
	Resource, Backend string
	// Values holds every key in full, as the backend names it.
	Values map[string]string
}

// Status returns the states of every resource and backend of Run.
func (e *Engine) Status() Status {
	e.mu.Lock()
	resources, watchers, broken := e.resources, e.watchers, e.set.Broken
	e.mu.Unlock()
	status := Status{Backends: make(map[string]BackendStatus, len(watchers))}
	for name, w := range watchers {
		status.Backends[name] = w.snapshot()
	}
	status.Resources = statusOf(resources, broken)
	for i := range status.Resources {
		if r := &status.Resources[i]; r.State == Waiting && r.Err == nil {
			r.Err = status.Backends[r.Backend].Err
		}
	}
	return status
}

// set changes the resource's status, of which the state follows from what is
// known of its file and its reload.
func (r *resourceState) set(change func(*ResourceStatus)) {
	r.unit.mu.Lock()
	s := r.state()
	before := s.State
	change(s)
	s.State, s.Err, s.NextAttempt = InSync, nil, time.Time{}
	switch {
	case r.fileErr != nil:
		s.State, s.Err, s.NextAttempt = Failed, r.fileErr, r.retryAt
		if isHeld(r.fileErr) {
			s.State = Held
		}
	case r.reloadErr != nil && s.ReloadPending:
		s.State, s.Err, s.NextAttempt = Failed, r.reloadErr, r.unit.reloadAt
	case !r.reconciled:
		s.State = Waiting
	case s.Change != nil:
		s.State = Pending
	case r.changed || s.ReloadPending:
		s.State = Changed
	}
	if s.State != before {
		s.Since = time.Now()
	}
	r.unit.mu.Unlock()
}

// state returns the resource's status. Only the unit's goroutine may call it
// without the lock, because nobody else changes it.
func (r *resourceState) state() *ResourceStatus { return &r.status }

// snapshot returns the resource's status, for any goroutine.
func (r *resourceState) snapshot() ResourceStatus {
	r.unit.mu.Lock()
	defer r.unit.mu.Unlock()
	s := r.status
	syncOnly := r.unit.engine.options().SyncOnly
	s.Checks, s.Reloads = r.CheckCmd != "" && !syncOnly, r.ReloadCmd != "" && !syncOnly
	return s
}

// statusOf gathers the states of resources and of broken ones, in the order of
// their file names.
func statusOf(resources []*resourceState, broken []resource.Broken) []ResourceStatus {
	var all []ResourceStatus
	for _, r := range resources {
		all = append(all, r.snapshot())
	}
	for _, b := range broken {
		all = append(all, ResourceStatus{Name: b.Name, File: b.File, State: Failed, Err: b.Err})
	}
	slices.SortStableFunc(all, func(a, b ResourceStatus) int { return strings.Compare(a.File, b.File) })
	return all
}

// Keys returns the keys of every resource of Run that has been read.
func (e *Engine) Keys() []Keys {
	e.mu.Lock()
	resources := e.resources
	e.mu.Unlock()
	var all []Keys
	for _, r := range resources {
		if values, ok := r.keys.copy(); ok && !r.IsStatic() {
			full := make(map[string]string, len(values))
			for key, value := range values {
				full[r.Full(key)] = value
			}
			all = append(all, Keys{Resource: r.Name, Backend: r.Backend, Values: full})
		}
	}
	slices.SortFunc(all, func(a, b Keys) int { return strings.Compare(a.Resource, b.Resource) })
	return all
}

// Stalled wakes every loop of Run, and returns the names of those that have not
// taken a turn since the given time, which should be that of the call before,
// and are not busy with something that still has time either.
func (e *Engine) Stalled(since time.Time) []string {
	e.mu.Lock()
	units, watchers := e.units, e.watchers
	e.mu.Unlock()
	var stalled []string
	now := time.Now()
	for _, u := range units {
		if !isClosed(u.ended) && !u.live.alive(since, now) {
			stalled = append(stalled, u.label)
		}
		u.wakeUp()
	}
	for name, w := range watchers {
		if !w.live.alive(since, now) {
			stalled = append(stalled, "backend "+name)
		}
	}
	return stalled
}
