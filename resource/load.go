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

	"pc4patroni/resource/install"
)

// Options says where resources come from.
type Options struct {
	// ConfDir holds conf.d/ with *.toml, also in subfolders, and templates/.
	ConfDir string
	// Prefix replaces the prefix of every resource unless it is empty.
	Prefix string
	// DestDir is put in front of every dest unless it is empty. Missing
	// directories below it are made, and owners are not applied.
	DestDir string
	// Backend turns a [backend] table, nil where a resource file has none, into
	// a key; equal settings have equal keys. locate adds file and line to an
	// error about a key of the table, or about the table itself where key is "".
	// A nil Backend allows no such table.
	Backend func(table map[string]any, locate func(key string, err error) error) (string, error)
	// Logger gets the warnings, unless it is nil.
	Logger *slog.Logger
}

func (o *Options) templateDir() string { return filepath.Join(o.ConfDir, "templates") }

// Set is what Load found: the resources that can be applied, in the order of
// their file names, and the files that cannot be used.
type Set struct {
	Resources []*Resource
	Broken    []Broken
}

// Broken is a resource file that cannot be used, with everything that is wrong
// with it or with its template.
type Broken struct {
	Name string // the file's name without ".toml"
	File string
	Err  error
}

// ErrNoResources is wrapped by the error of Load when there are no resource files.
var ErrNoResources = errors.New("no resource files")

// Load reads every resource file and template of a configuration. A bad one
// leaves the others alone; the error is about the folder as a whole.
func Load(opts Options) (*Set, error) {
	dir := filepath.Join(opts.ConfDir, "conf.d")
	names, err := resourceFiles(dir)
	if err != nil {
		return nil, err
	}
	set := &Set{}
	libraries := map[[2]string]*library{} // by delimiters
	for _, name := range names {
		res, err := load(name, &opts, libraries)
		if err != nil {
			set.Broken = append(set.Broken, Broken{resourceName(&opts, name), name, err})
			continue
		}
		set.Resources = append(set.Resources, res)
	}
	set.rejectSharedDests(opts.DestDir)
	for _, res := range set.Resources {
		res.doc = nil
		if opts.Logger != nil && slices.Contains(res.Paths, "/") {
			opts.Logger.Warn("resource reads the whole key store: limit it with prefix or -prefix", "resource", res.Name)
		}
	}
	return set, nil
}

// resourceName returns the name of the resource that the file name declares.
func resourceName(opts *Options, name string) string {
	below := strings.TrimPrefix(name, filepath.Join(opts.ConfDir, "conf.d")+"/")
	return strings.TrimSuffix(below, ".toml")
}

// resourceFiles returns the resource files below dir, in their order.
func resourceFiles(dir string) ([]string, error) {
	names, err := filesBelow(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: the folder %s does not exist: create it, or name another one with -confdir", ErrNoResources, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("read resource files: %w", err)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, ".toml") })
	if len(names) == 0 {
		return nil, fmt.Errorf("%w: there is no file *.toml in %s", ErrNoResources, dir)
	}
	slices.Sort(names)
	return names, nil
}

// filesBelow returns the files below dir that are not hidden, nor in hidden folders.
func filesBelow(dir string) ([]string, error) {
	var files []string
	root := dir + "/" // the folder may be a link
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		hidden := path != root && strings.HasPrefix(entry.Name(), ".")
		switch {
		case err != nil:
			return err
		case hidden && entry.IsDir():
			return fs.SkipDir
		case !hidden && !entry.IsDir():
			files = append(files, path)
		}
		return nil
	})
	return files, err
}

// load reads one resource file and its template.
func load(name string, opts *Options, libraries map[[2]string]*library) (*Resource, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read resource file: %w", err)
	}
	res, err := read(name, data, opts)
	if err != nil {
		return nil, err
	}
	delimiters := [2]string{res.left, res.right}
	lib := libraries[delimiters]
	if lib == nil {
		lib = newLibrary(opts.templateDir(), res.left, res.right)
		libraries[delimiters] = lib
	}
	res.source, err = lib.source(res.Src)
	if errors.Is(err, errNoTemplate) {
		return nil, res.doc.Errorf([]string{"template", "src"}, "%w", err)
	}
	if err != nil {
		return nil, err
	}
	return res, nil
}

// rejectSharedDests takes out the resources that would fight over one file,
// whatever they call it.
func (s *Set) rejectSharedDests(root string) {
	targets := map[*Resource]string{}
	byTarget := map[string][]*Resource{}
	for _, res := range s.Resources {
		target, err := install.Resolve(res.Dest, root)
		if err != nil {
			target = res.Dest // applying it says why
		}
		targets[res] = target
		byTarget[target] = append(byTarget[target], res)
	}
	s.Resources = slices.DeleteFunc(s.Resources, func(res *Resource) bool {
		same := byTarget[targets[res]]
		if len(same) == 1 {
			return false
		}
		other := same[0]
		if other == res {
			other = same[1]
		}
		why := fmt.Sprintf("dest %q is also the dest of %s", res.Dest, other.File)
		if res.Dest != other.Dest {
			why = fmt.Sprintf("dest %q leads to %s, as does dest %q of %s", res.Dest, targets[res], other.Dest, other.File)
		}
		err := res.doc.Errorf([]string{"template", "dest"}, "%s: a file can belong to only one resource", why)
		s.Broken = append(s.Broken, Broken{res.Name, res.File, err})
		return true
	})
	slices.SortFunc(s.Broken, func(a, b Broken) int { return strings.Compare(a.File, b.File) })
}
