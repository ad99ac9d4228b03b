// Package backends declares what a key store must do for pc4patroni.
//
// It holds the interface, its contract and the path rules that every
// implementation shares. It knows no store: backends/etcd and backends/file
// implement the interface, resource/engine consumes it, and cmd connects the
// two. A third backend is a new folder and one registration in cmd.
//
// # Paths
//
// A path starts with a slash. With a slash at its end it covers every key
// below it: "/service/batman/" covers "/service/batman/leader", and neither
// "/service/batman" nor "/service/batman2/leader". Without one it covers the
// key of exactly that name. "/" covers every key that starts with a slash.
package backends

import (
	"context"
	"errors"
	"time"
)

// Backend is a store of keys that can be read and watched.
//
// A Backend may be used by several goroutines at once. Every method returns
// soon after its context is done, with an error that wraps the context's.
// No error and no log record of a Backend contains the value of a key or a
// password.
type Backend interface {
	// Load reads every key that paths cover and returns one update for each
	// path, in the order of paths: its full state, or why it may not be read.
	// It tries once: whether and when to try again is the caller's decision.
	// An error that wraps ErrDenied will not go away by itself soon.
	Load(ctx context.Context, paths []string) ([]Update, error)

	// Watch delivers the full state of each path and then every change to it,
	// in the order in which the store made them, by calling sink from a single
	// goroutine. A path whose After names a version that the store can resume
	// from is not read again: its changes since then come first. Changes of one
	// path that the store made as one come in one update.
	//
	// Every resync, if that is positive, Watch reads all paths in full while it
	// goes on delivering changes, and delivers what it read; a full state is
	// never older than a change delivered before it.
	//
	// A call without updates says that the connection is alive and that
	// nothing newer exists. Watch makes one as soon as it watches all paths,
	// and often enough that silence for Silence means trouble.
	//
	// Watch ends when ctx is done or when it cannot keep these promises; then
	// the caller starts over, with the last version that it got of each path.
	// It never returns a nil error. When sink returns an error Watch returns
	// that error. sink must not block for long.
	Watch(ctx context.Context, paths []WatchPath, resync time.Duration, sink func([]Update) error) error

	// Close ends the calls under way and frees what the backend holds.
	Close() error
}

// Silence is the longest time that passes between two calls of a sink while
// the backend can be reached.
const Silence = 30 * time.Second

// Version names a state of a store. Only the backend that gave it can read
// it: etcd's holds a cluster ID and a revision. The empty version is none.
type Version string

// WatchPath is a path to watch.
type WatchPath struct {
	Path string
	// After is the version that the caller holds already, or empty.
	After Version
}

// Update is what a backend says of one path.
type Update struct {
	// Path is one of those that were asked for.
	Path string
	// Version is the state of the path after this update.
	Version Version
	// Keys is the full state: each key that Path covers, with its value. It
	// is nil where the update holds changes. The receiver must not modify it.
	Keys map[string]string
	// Resync says why a path was read in full after the first time: one of
	// the Resync constants. It is empty for the first full state.
	Resync string
	// Changes holds the keys that changed. A key may change more than once;
	// the last change wins.
	Changes []Change
	// Denied is set where the path may not be read, and then nothing else is.
	// It wraps ErrDenied.
	Denied error
}

// Change is one key that was put or deleted.
type Change struct {
	Key     string
	Value   string // empty when Deleted
	Deleted bool
}

// Why a path was read in full again. These are label values of
// backend_resyncs_total.
const (
	ResyncInterval  = "interval"  // the resync interval has passed
	ResyncCompacted = "compacted" // the history after the version is gone
	ResyncReplaced  = "replaced"  // another store, or one with a lower revision
	ResyncOther     = "other"
)

// ErrDenied is wrapped by the errors of a backend that was reached but does
// not let us in: wrong name or password, missing permission, a certificate
// that it does not accept.
var ErrDenied = errors.New("access denied")
