package resource

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template/parse"

	"pc4patroni/funcs"
)

// library holds the files of the templates folder, each read and parsed at most
// once during a Load. There is one for each pair of delimiters.
type library struct {
	dir         string
	left, right string
	functions   map[string]any // the names that a template may call, each with anything but nil
	files       map[string]*templateFile
	sources     map[string]*source
}

// templateFile is one file of the library.
type templateFile struct {
	err      error // why it cannot be used
	digest   [sha256.Size]byte
	trees    map[string]*parse.Tree // its own and those that it defines
	calls    map[string]bool        // the functions that it calls
	includes []string               // the names that it includes literally
	computes bool                   // it includes a name that is only known at run time
}

func newLibrary(dir, left, right string) *library {
	lib := &library{dir: dir, left: left, right: right, functions: funcs.Map(&funcs.Env{}),
		files: map[string]*templateFile{}, sources: map[string]*source{}}
	lib.functions["include"] = true
	for _, builtin := range []string{"and", "call", "html", "index", "js", "len", "not", "or", "print", "println", "slice", "urlquery"} {
		lib.functions[builtin] = true
	}
	return lib
}

// source gathers the template name and, recursively, the templates that it
// includes by a literal name. Of two that define the same, the first counts.
func (lib *library) source(name string) (*source, error) {
	if s := lib.sources[name]; s != nil {
		return s, nil
	}
	s := &source{dir: lib.dir, name: name, trees: map[string]*parse.Tree{}, calls: map[string]bool{}}
	digest := sha256.New()
	computes := false
	for queue := []string{name}; len(queue) > 0; queue = queue[1:] {
		if s.trees[queue[0]] != nil {
			continue
		}
		f := lib.file(queue[0])
		if f.err != nil {
			return nil, f.err
		}
		fmt.Fprintf(digest, "%q %x ", queue[0], f.digest)
		for name, tree := range f.trees {
			if s.trees[name] == nil {
				s.trees[name] = tree
			}
		}
		maps.Copy(s.calls, f.calls)
		queue = append(queue, f.includes...)
		computes = computes || f.computes
	}
	if computes {
		// Any file may be meant. One that is no template is there with its error,
		// which matters only if it is asked for.
		paths, err := filesBelow(lib.dir)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errNoTemplate, err)
		}
		for _, path := range paths {
			lib.file(strings.TrimPrefix(path, lib.dir+"/"))
		}
		for _, name := range slices.Sorted(maps.Keys(lib.files)) {
			fmt.Fprintf(digest, "%q %x ", name, lib.files[name].digest)
		}
		s.computed, s.calls = lib.files, nil
	}
	digest.Sum(s.digest[:0])
	lib.sources[name] = s
	return s, nil
}

// file returns a file by its name below the folder, with slashes.
func (lib *library) file(name string) *templateFile {
	f := lib.files[name]
	if f == nil {
		f = &templateFile{calls: map[string]bool{}}
		f.err = lib.read(f, name)
		lib.files[name] = f
	}
	return f
}

func (lib *library) read(f *templateFile, name string) error {
	if !filepath.IsLocal(strings.TrimLeft(name, "/")) {
		return fmt.Errorf("%w: %q is not below %s", errNoTemplate, name, lib.dir)
	}
	text, err := os.ReadFile(filepath.Join(lib.dir, name))
	if err != nil {
		return fmt.Errorf("%w: %w", errNoTemplate, err)
	}
	f.digest = sha256.Sum256(text)
	f.trees, err = parse.Parse(name, string(text), lib.left, lib.right, lib.functions)
	if err != nil {
		return explain(lib.dir, err, lib.functions)
	}
	for _, tree := range f.trees {
		walkCalls(tree.Root, func(function string, call *parse.CommandNode) {
			f.calls[function] = true
			if function != "include" {
				return
			}
			if len(call.Args) > 1 {
				if literal, ok := call.Args[1].(*parse.StringNode); ok {
					f.includes = append(f.includes, literal.Text)
					return
				}
			}
			f.computes = true
		})
	}
	slices.Sort(f.includes) // trees come in no order
	return nil
}

// errNoTemplate is wrapped by the error of a template that cannot be read.
var errNoTemplate = errors.New("read template")
