// Package diskstep lets tests stand between any two steps that change the disk.
package diskstep

// Hook, if not nil, is called before each step with what it does and the path that it
// changes. If it returns an error, the step is left out and fails with that. Tests fail
// steps so, and stop the program there. It is set before anything runs.
var Hook func(what, path string) error
