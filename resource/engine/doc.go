// Package engine keeps the files of a set of resources true to the keys of
// their backends.
//
// The path of a change, from top to bottom: a watcher ([backends.Backend.Watch],
// watch.go) puts it into the keys of the resources that see it (keys.go). The
// queue (queue.go) tells their units, after the debounce that the change may need
// (debounce.go), and gives the files that one change concerns an order
// (order.go). A unit (unit.go), which is the resources that share a reload
// command, reconciles each of them (reconcile.go): rendered (render.go), compared
// with the disk, checked and installed (disk.go), or held (held.go). Then it
// reloads, again and again with a backoff where that fails (reload.go).
//
// What a file is and how it is replaced is the business of package install, what
// templates say about keys that of package funcs. The engine knows no etcd, no
// flags and no signals.
//
// [Engine.Once] applies everything once and reports. [Engine.Run] goes on doing
// so until its context ends, and [Engine.Reload] gives it another set meanwhile
// (configure.go).
//
// Two contexts end the work: when stop is done no new work begins, and a command
// that runs may finish for as long as kill lasts.
package engine
