// Package resource keeps files true to the keys of a backend.
//
// It reads resource files (conf.d/*.toml) and templates, groups the resources
// that share a reload command into units, renders them, compares the result
// with the disk, and where it differs stages, checks, installs and reloads.
// Keys come in through the interface of package backends; what a template can
// say about them is package funcs' business. The package knows no etcd, no
// flags and no signals.
//
// [Load] turns a folder into a [Set] of validated resources. An [Engine]
// brings a Set and its backends together: [Engine.Once] applies everything
// once and reports, [Engine.Run] goes on doing so until its context ends.
package resource
