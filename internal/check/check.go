// Package check judges a configuration before it runs. It renders every template
// against built-in clusters, so that a misspelt field is found before a failover
// finds it, looks whether each dest can be replaced, and points out what is allowed
// but rarely meant.
//
// It reads the file system, changes nothing and asks no etcd. What resource.Load
// rejects is not its subject.
package check

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"pc4patroni/backends"
	"pc4patroni/backends/file"
	"pc4patroni/resource"
)

// Level says how bad a problem is.
type Level string

const (
	// Error keeps a resource from ever being applied.
	Error Level = "error"
	// Warning is allowed but rarely meant, or true for this host and user only.
	Warning Level = "warning"
)

// Problem is one finding. Line and Column count from 1 and are 0 where they are
// not known. File is the resource file or a template; for a backend it is the
// backend's name, and Resource is empty.
type Problem struct {
	Level    Level  `json:"level"`
	File     string `json:"file"`
	Line     int    `json:"line,omitempty"`
	Column   int    `json:"column,omitempty"`
	Resource string `json:"resource,omitempty"`
	Message  string `json:"message"`
}

// String returns the problem as a line in the form that editors and CI systems
// recognize: FILE:LINE:COLUMN: LEVEL: MESSAGE.
func (p Problem) String() string {
	place := p.File + ":"
	for _, n := range []int{p.Line, p.Column} {
		if n > 0 {
			place += strconv.Itoa(n) + ":"
		}
	}
	return fmt.Sprintf("%s %s: %s", place, p.Level, p.Message)
}

// place is how errors of resource files and templates begin.
var place = regexp.MustCompile(`^(?:template )?(\S+): line (\d+)(?:, column (\d+))?: (?s:(.*))$`)

// problemsOf returns a problem for each line of an error, or of a warning.
func problemsOf(level Level, resource, file, text string) []Problem {
	var all []Problem
	for line := range strings.SplitSeq(text, "\n") {
		p := Problem{Level: level, File: file, Resource: resource, Message: line}
		if m := place.FindStringSubmatch(line); m != nil {
			p.File, p.Message = m[1], m[4]
			p.Line, _ = strconv.Atoi(m[2])
			p.Column, _ = strconv.Atoi(m[3])
		}
		all = append(all, p)
	}
	return all
}

// Options says what to check with.
type Options struct {
	// TemplateDir is the folder of the templates.
	TemplateDir string
	// DestDir is put in front of every dest, unless it is empty.
	DestDir string
	// FromConfd adds warnings for those who come from confd.
	FromConfd bool
	// Open opens a backend by its name, without connecting to it. With the keys
	// of a *file.Client the templates are rendered as well.
	Open func(name string) (backends.Backend, error)
	// Getenv is what templates see of the environment.
	Getenv func(name string) string
}

// Set returns the problems of every resource of a set: resource after resource,
// and those of one in the order of their files and lines. What several resources
// share, such as a template, is reported once.
func Set(ctx context.Context, set *resource.Set, opts Options) []Problem {
	var all []Problem
	reported := map[Problem]bool{}
	add := func(problems []Problem) {
		slices.SortStableFunc(problems, func(a, b Problem) int {
			return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
		})
		for _, p := range problems {
			shared := Problem{File: p.File, Line: p.Line, Message: p.Message}
			// A broken resource needs a problem of its own, or it would pass for a good one.
			if p.Level == Error || !reported[shared] {
				all = append(all, p)
			}
			reported[shared] = true
		}
	}
	for _, broken := range set.Broken {
		add(problemsOf(Error, broken.Name, broken.File, broken.Err.Error()))
	}
	opened, bad := openAll(set.Resources, opts.Open)
	for _, res := range set.Resources {
		var problems []Problem
		r := newRenderer(res, opts.Getenv)
		for _, mistake := range r.mistakes() {
			problems = append(problems, problemsOf(Error, res.Name, res.File, mistake)...)
		}
		if client, ok := opened[res.Backend].(*file.Client); ok {
			if err := r.renderFile(ctx, client); err != nil {
				problems = append(problems, problemsOf(Error, res.Name, res.File, err.Error())...)
			}
		}
		for _, warning := range warnings(res, r.missingKeys(), opts) {
			problems = append(problems, problemsOf(Warning, res.Name, res.File, warning)...)
		}
		add(problems)
	}
	for _, backend := range opened {
		backend.Close() // it was used for nothing that could fail late
	}
	add(bad)
	return all
}

// openAll opens every backend that the resources name, which reads certificates
// and passwords but connects to nothing.
func openAll(resources []*resource.Resource, open func(name string) (backends.Backend, error)) (opened map[string]backends.Backend, bad []Problem) {
	opened = map[string]backends.Backend{}
	tried := map[string]bool{}
	for _, res := range resources {
		if tried[res.Backend] {
			continue
		}
		tried[res.Backend] = true
		backend, err := open(res.Backend)
		if err != nil {
			bad = append(bad, problemsOf(Error, "", res.Backend, err.Error())...)
			continue
		}
		opened[res.Backend] = backend
	}
	return opened, bad
}
