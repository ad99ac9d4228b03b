package resource

import (
	"time"
)

// State is how a resource stands.
type State int

const (
	// Waiting: its keys have not been read yet, or the backend is away.
	Waiting State = iota
	// InSync: the file was what it should be.
	InSync
	// Changed: the file was replaced, or a reload that was owed was done.
	Changed
	// Pending: with Noop, something would change.
	Pending
	// Held: the template cannot be rendered now; the file stays as it is.
	Held
	// Failed: the file could not be compared, staged, checked or installed, or
	// the reload failed.
	Failed
)

func (s State) String() string {
	return [...]string{"waiting", "in sync", "changed", "pending", "held", "failed"}[s]
}

// Result is how a resource stands, and why.
type Result struct {
	Name, File, Dest string
	State            State
	// Err says why the resource is Waiting, Held or Failed.
	Err error
	// ReloadOwed says that the file is in place and its reload is not done.
	ReloadOwed bool
	// Change is what would change, with Noop.
	Change *Change
}

// Change is the difference that a pass would make to a file.
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

// tracked is a resource at run time. It belongs to the goroutine of its unit;
// only result is shared, under the unit's lock.
type tracked struct {
	*Resource
	store  runStore
	target string // dest with its symbolic links followed

	loaded   bool  // the keys have come
	denied   error // why the keys may not be read any more, or at all
	owed     bool  // the file is in place, the reload is not done
	usesTime bool  // the template called datetime when it was last rendered
	partial  bool  // the file was being written in place when a run died
	warned   bool  // of writing in place

	// What was last found or put on the disk. Equal bytes to render and an
	// unchanged file mean that nothing has to be read.
	syncedHash  [32]byte
	syncedState fileState

	// failedHash is what was rendered when the last attempt failed.
	failedHash [32]byte
	failure    error
	retry      backoff

	staleAt  time.Time       // when the changed keys have to be rendered, or zero
	retryAt  time.Time       // when to try again after a failure, or zero
	verifyAt time.Time       // when to compare with the disk, or zero
	problems map[string]bool // with members, that have been logged

	result Result
	record *record

	replacement *replacement // of which a diff is to be made, or nil
}

// due returns the earliest time at which something has to be done, or zero.
func (r *tracked) due() time.Time { return earliest(r.staleAt, r.retryAt, r.verifyAt) }

// earliest returns the first of the times that are not zero, or zero.
func earliest(times ...time.Time) time.Time {
	var first time.Time
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}
