// Package resource reads resource files (conf.d/*.toml) and their templates.
//
// [Load] turns a folder into a [Set] of validated resources, each with its
// template parsed. The package opens no backend, writes no file and runs no
// command: that is the business of package engine, below this one.
package resource

import (
	"reflect"
	"regexp"
	"strings"
	"time"

	"pc4patroni/internal/tomlfile"
)

// Resource is what one resource file declares, validated and with every
// default in its place. It does not change after Load.
type Resource struct {
	// Name is the path of the resource file below conf.d, without ".toml"; File is
	// all of it.
	Name, File string
	// Prefix is what the keys that the template sees are relative to: a clean
	// path with a leading slash, "/" when there is none.
	Prefix string
	// Keys are the clean paths below the store's root that the resource sees, with
	// what is below them; of one with a slash at its end only that.
	Keys []string
	// Paths is what to read, as package backends describes; empty without keys.
	Paths []string
	// Src is the template's name below the templates folder.
	Src string
	// Dest is the absolute path of the file, below -destdir where that is set.
	Dest string
	// CheckCmd is the check command as written, or ""; see Check.
	CheckCmd string
	// ReloadCmd is the reload command, expanded, or "".
	ReloadCmd string
	// CheckTimeout and ReloadTimeout bound how long the commands may run.
	CheckTimeout, ReloadTimeout time.Duration
	// MinReloadInterval is the minimum time between the starts of two reloads.
	MinReloadInterval time.Duration
	// AllowEmpty says that a prefix without any key may be rendered.
	AllowEmpty bool
	// Backend names the backend's settings; see Options.Backend.
	Backend string
	// UID, GID and Mode are what the file should have, or install.Keep.
	UID, GID, Mode int
	// CreateDirs says that missing directories of Dest are made.
	CreateDirs bool
	// Backup says that the replaced file is kept beside the new one.
	Backup bool

	left, right string   // delimiters of the template
	byName      []string // "owner" and "group", as far as they are set
	source      *source
	doc         *tomlfile.File // until Load is done with it
}

// placeholder is what a command may use of the resource.
var placeholder = regexp.MustCompile(`\{\{\s*\.(src|dest)\s*\}\}`)

// expand returns the command with the two paths in it; everything else in it
// stays as written, because a shell script may well contain braces.
func expand(command, src, dest string) string {
	return placeholder.ReplaceAllStringFunc(command, func(match string) string {
		if strings.Contains(match, ".src") {
			return src
		}
		return dest
	})
}

// Check returns the check command for the staged file at src, or "".
func (res *Resource) Check(src string) string { return expand(res.CheckCmd, src, res.Dest) }

// IsStatic tells whether the resource sees no keys at all.
func (res *Resource) IsStatic() bool { return len(res.Paths) == 0 }

// SameAs tells whether both declare the same and have the same templates.
func (res *Resource) SameAs(other *Resource) bool {
	if res.source.digest != other.source.digest {
		return false
	}
	a, b := *res, *other
	a.source, b.source, a.doc, b.doc = nil, nil, nil, nil
	return reflect.DeepEqual(a, b)
}
