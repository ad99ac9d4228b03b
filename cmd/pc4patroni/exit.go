package main

import "errors"

// Exit statuses.
const (
	exitOK      = 0 // all in sync or applied
	exitFailed  = 1 // a resource failed or is held, or the run was interrupted
	exitUsage   = 2 // usage or configuration
	exitBackend = 3 // the backend could not be reached
	exitPending = 4 // changes are pending (-noop -exit-code)
)

// exitStatus returns the exit status of a run that ended with an error.
func exitStatus(err error) int {
	_, badConfig := errors.AsType[*configError](err)
	second, killed := errors.AsType[*secondSignal](err)
	switch {
	case killed:
		return second.status()
	case badConfig:
		return exitUsage
	case errors.Is(err, errUnreachable):
		return exitBackend
	case errors.Is(err, errPending):
		return exitPending
	default:
		return exitFailed
	}
}

// configError is an error in the configuration: nothing was tried.
type configError struct{ error }

func (e *configError) Unwrap() error { return e.error }

// What the error of a mode wraps, for the exit status.
var (
	errUnreachable = errors.New("the backend could not be reached")
	errPending     = errors.New("changes are pending")
)
