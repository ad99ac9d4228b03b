// Package resource reads resource files (conf.d/*.toml) and their templates.
//
// [Load] turns a folder into a [Set] of validated resources, each with its
// template parsed. The package opens no backend, writes no file and runs no
// command: that is the business of package engine, below this one.
package resource
