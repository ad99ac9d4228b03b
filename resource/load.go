package resource

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Options says where resources come from and how they are applied.
type Options struct {
	// ConfDir holds conf.d/*.toml and templates/.
	ConfDir string
	// Prefix replaces the prefix of every resource unless it is empty.
	Prefix string
	// DestDir is put in front of every dest unless it is empty. Missing
	// directories below it are made, and owners are not applied.
	DestDir string
	// Noop compares only: nothing is written, no command is run.
	Noop bool
	// SyncOnly installs without check_cmd and reload_cmd.
	SyncOnly bool
	// KeepStageFile keeps staged files that were not installed.
	KeepStageFile bool
	// Backend turns a [backend] table into a key that names the settings;
	// equal settings have equal keys. A resource file without the table is
	// asked for with a nil one. Errors about one key of the table, or about
	// the table where key is "", are wrapped with locate, which adds file and
	// line. A nil Backend allows no such table.
	Backend func(table map[string]any, locate func(key string, err error) error) (string, error)
	// Getenv is what templates see of the environment; nil is an empty one.
	Getenv func(string) string
	// Environ is the environment of commands.
	Environ []string
	// Diff makes of what a file held and holds the text that Record has of the
	// change. public says whether every user of the host may read both. It is
	// called by several goroutines, after the reload; nil keeps no texts.
	Diff func(old, now []byte, public bool) string
	// Logger gets every record; nil discards them.
	Logger *slog.Logger
}

func (o *Options) templateDir() string { return filepath.Join(o.ConfDir, "templates") }

func (o *Options) logger() *slog.Logger {
	if o.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Logger
}

// Set is what Load found: the resources that can be applied, in the order of
// their file names, and those that cannot.
type Set struct {
	Resources []*Resource
	Broken    []Broken
}

// Broken is a resource file that cannot be applied, and all that is wrong
// with it or with its template.
type Broken struct {
	Name string // the file's name without ".toml"
	File string
	Err  error
}

// ErrNoResources is wrapped by the error of Load when there is nothing to do.
var ErrNoResources = errors.New("no resource files")

// Load reads every resource file and template of a configuration. A bad one
// does not keep the others from being loaded; the error is about the folder
// as a whole.
func Load(opts Options) (*Set, error) {
	dir := filepath.Join(opts.ConfDir, "conf.d")
	names, err := resourceFiles(dir)
	if err != nil {
		return nil, err
	}
	set := &Set{}
	sources := map[[3]string]*source{}
	for _, name := range names {
		res, err := load(name, &opts, sources)
		if err != nil {
			set.Broken = append(set.Broken, Broken{strings.TrimSuffix(filepath.Base(name), ".toml"), name, err})
			continue
		}
		set.Resources = append(set.Resources, res)
	}
	set.rejectSharedDests()
	for _, res := range set.Resources {
		res.doc = nil
		if slices.Contains(res.Paths, "/") {
			opts.logger().Warn("resource reads the whole store: name what it needs with prefix, or with -prefix", "resource", res.Name)
		}
	}
	return set, nil
}

func resourceFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: the folder %s does not exist: create it, or name another one with -confdir", ErrNoResources, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("read resource files: %w", err)
	}
	var names []string
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasSuffix(name, ".toml") && !strings.HasPrefix(name, ".") && !entry.IsDir() {
			names = append(names, filepath.Join(dir, name))
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%w: there is no file *.toml in %s", ErrNoResources, dir)
	}
	return names, nil
}

// load reads one resource file and its template. Templates are parsed once
// and shared through sources.
func load(name string, opts *Options, sources map[[3]string]*source) (*Resource, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read resource file: %w", err)
	}
	res, err := read(name, data, opts)
	if err != nil {
		return nil, err
	}
	key := [3]string{res.Src, res.left, res.right}
	if sources[key] == nil {
		parsed, err := parseSource(opts.templateDir(), res.Src, res.left, res.right)
		if errors.Is(err, errNoTemplate) {
			return nil, res.doc.Errorf([]string{"template", "src"}, "%w", err)
		}
		if err != nil {
			return nil, err
		}
		sources[key] = parsed
	}
	res.source = sources[key]
	return res, nil
}

// rejectSharedDests takes out the resources that would fight over one file.
func (s *Set) rejectSharedDests() {
	byDest := map[string][]*Resource{}
	for _, res := range s.Resources {
		byDest[res.Dest] = append(byDest[res.Dest], res)
	}
	s.Resources = slices.DeleteFunc(s.Resources, func(res *Resource) bool {
		same := byDest[res.Dest]
		if len(same) == 1 {
			return false
		}
		other := same[0]
		if other == res {
			other = same[1]
		}
		s.Broken = append(s.Broken, Broken{res.Name, res.File, res.doc.Errorf([]string{"template", "dest"},
			"dest %q is also the dest of %s: one file can have one resource only", res.Dest, other.File)})
		return true
	})
	slices.SortFunc(s.Broken, func(a, b Broken) int { return compareFiles(a.File, b.File) })
}
