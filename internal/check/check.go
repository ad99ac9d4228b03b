package check

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"pc4patroni/backends"
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
	var s strings.Builder
	s.WriteString(p.File + ":")
	for _, n := range []int{p.Line, p.Column} {
		if n > 0 {
			s.WriteString(strconv.Itoa(n) + ":")
		}
	}
	return s.String() + " " + string(p.Level) + ": " + p.Message
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
	// Open opens a backend by its name, without connecting to it.
	Open func(name string) (backends.Backend, error)
	// InFile tells whether the keys of a backend are in a file. Then the
	// templates are rendered with these keys as well.
	InFile func(name string) bool
	// Getenv is what templates see of the environment.
	Getenv func(name string) string
}

// Set returns the problems of every resource of a set: resource after resource,
// and those of one in the order of their files and lines. What several resources
// share, such as a template, is reported once.
func Set(ctx context.Context, set *resource.Set, opts Options) []Problem {
	var all []Problem
	type finding struct {
		file    string
		line    int
		message string
	}
	reported := map[finding]bool{}
	add := func(problems []Problem) {
		slices.SortStableFunc(problems, func(a, b Problem) int {
			return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
		})
		for _, p := range problems {
			f := finding{p.File, p.Line, p.Message}
			// A broken resource needs a problem of its own, or it would pass for a good one.
			if p.Level == Error || !reported[f] {
				all = append(all, p)
			}
			reported[f] = true
		}
	}
	for _, broken := range set.Broken {
		add(problemsOf(Error, broken.Name, broken.File, broken.Err.Error()))
	}
	for _, res := range set.Resources {
		var problems []Problem
		for _, mistake := range mistakes(res, opts.Getenv) {
			problems = append(problems, problemsOf(Error, res.Name, res.File, mistake)...)
		}
		if err := renderFile(ctx, res, &opts); err != nil {
			problems = append(problems, problemsOf(Error, res.Name, res.File, err.Error())...)
		}
		for _, warning := range warnings(res, opts) {
			problems = append(problems, problemsOf(Warning, res.Name, res.File, warning)...)
		}
		add(problems)
	}
	add(badBackends(set.Resources, opts.Open))
	return all
}

// badBackends makes every backend that the resources name, which reads
// certificates and passwords but connects to nothing.
func badBackends(resources []*resource.Resource, open func(name string) (backends.Backend, error)) []Problem {
	var all []Problem
	tried := map[string]bool{}
	for _, res := range resources {
		if tried[res.Backend] {
			continue
		}
		tried[res.Backend] = true
		backend, err := open(res.Backend)
		if err == nil {
			err = backend.Close()
		}
		if err != nil {
			all = append(all, problemsOf(Error, "", res.Backend, err.Error())...)
		}
	}
	return all
}
