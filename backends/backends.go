// Package backends declares what a store of keys must do for pc4patroni.
//
// It holds the interface, its contract and the path arithmetic that every
// implementation shares. It knows no store: backends/etcd and backends/file
// implement the interface, package resource consumes it, and cmd brings the
// two together.
//
// # Paths
//
// What is read is said in paths. A path starts with a slash. With a slash at
// its end it covers what lies below it ("/service/batman/" covers
// "/service/batman/leader"); without one it covers the key of that very name
// as well. It never covers a sibling that merely starts alike: neither form of
// "/service/batman" covers "/service/batman2". "/" covers every key that
// starts with a slash.
package backends

import (
	"context"
	"errors"
)

// Backend is a store of keys that can be read and followed.
//
// A Backend may be used by several goroutines at once. Every method returns
// soon after its context is done, with an error that wraps the context's.
// No error and no log record of a Backend contains the value of a key or a
// password.
type Backend interface {
	// Load returns every key that paths cover, all as they were at one
	// revision. It tries once: whether and when to try again is the caller's
	// decision. An error that wraps ErrDenied will not go away by itself soon.
	Load(ctx context.Context, paths []string) (Snapshot, error)

	// Follow hands over every change that came after version, a whole
	// revision at a time and in order, by calling sink from a single
	// goroutine. A batch without changes only says that the backend was alive
	// and had nothing newer; implementations send one now and then, so that
	// silence means trouble. Follow never retries and never skips: when it
	// cannot promise that nothing is missing it returns an error, a *Lost
	// where the connection had been made, and the caller must Load again and
	// follow from there. It returns no nil error. sink must not block for
	// long; when it returns an error Follow returns that error.
	Follow(ctx context.Context, paths []string, version Version, sink func(Batch) error) error

	// Close frees what the backend holds; calls under way end with an error.
	Close() error
}

// GroupFollower is an optional ability of a Backend. Where the changes of one
// revision do not arrive together, waiting for the last of them costs time;
// a caller that looks at some paths apart from others can say so.
type GroupFollower interface {
	// FollowGroups is Follow, except that order and wholeness of revisions hold
	// within each group of paths only: a revision that concerns two groups may
	// come in two batches, and one group's batch may overtake another's.
	FollowGroups(ctx context.Context, groups [][]string, version Version, sink func(Batch) error) error
}

// Version names a state of a store.
type Version struct {
	// Store identifies the store itself, so that one that was replaced by
	// another (an etcd rebuilt from scratch has another cluster ID) is noticed.
	Store uint64
	// Revision counts the states of the store and only ever grows.
	Revision int64
}

// Snapshot is what Load read: key to value, as of one version.
type Snapshot struct {
	Version Version
	Values  map[string]string
}

// Change is one key that was put or deleted.
type Change struct {
	Key     string
	Value   string // empty when Deleted
	Deleted bool
}

// Batch is a run of changes that belong together: after all of them the keys
// are as they were at Revision. A key may change more than once in a batch;
// the last change wins.
type Batch struct {
	Revision int64
	Changes  []Change
}

// ErrDenied is wrapped by the errors of a backend that was reached but does
// not let us in: wrong name or password, missing permission, a certificate
// that it does not accept.
var ErrDenied = errors.New("access denied")

// ErrPathDenied is wrapped, beside ErrDenied, by the error of a backend that
// lets us in but not to all of the paths: reading others of them may succeed.
var ErrPathDenied = errors.New("access to a path denied")

// Lost is the error of a Follow that had been following and cannot go on.
type Lost struct {
	// Reason is one of the Reason constants; it labels metrics.
	Reason string
	// Err is what happened, for people.
	Err error
}

// Why a Follow ended. These are label values of backend_resyncs_total.
const (
	ReasonCompacted  = "compacted"  // the history after the version is gone
	ReasonConnection = "connection" // the connection or the watch broke
	ReasonSilence    = "silence"    // nothing heard for longer than allowed
	ReasonReplaced   = "replaced"   // another store, or one with a lower revision
	ReasonAuth       = "auth"       // the token or the permission is gone
	ReasonOther      = "other"
)

func (e *Lost) Error() string { return "follow: " + e.Reason + ": " + e.Err.Error() }

func (e *Lost) Unwrap() error { return e.Err }
