package resource

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
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
	action      *regexp.Regexp
	files       map[string]*templateFile
	complete    bool
}

// templateFile is one file of the library.
type templateFile struct {
	err      error // why it cannot be used
	digest   [sha256.Size]byte
	trees    map[string]*parse.Tree // its own and those that it defines
	calls    map[string]bool        // the functions that it calls, and perhaps some more
	includes []string               // the names that it includes literally
	computes bool                   // it includes a name that is only known at run time
}

func newLibrary(dir, left, right string) *library {
	lib := &library{dir: dir, left: left, right: right, functions: funcs.Map(&funcs.Env{}), files: map[string]*templateFile{}}
	lib.functions["include"] = true
	for _, builtin := range []string{"and", "call", "eq", "ge", "gt", "html", "index", "js", "le", "len", "lt", "ne", "not", "or",
		"print", "printf", "println", "slice", "urlquery"} {
		lib.functions[builtin] = true
	}
	lib.action = regexp.MustCompile(`(?s)` + regexp.QuoteMeta(left) + `(.*?)` + regexp.QuoteMeta(right))
	return lib
}

var (
	word           = regexp.MustCompile(`\w+`)
	includeCall    = regexp.MustCompile(`\binclude\b`)
	literalInclude = regexp.MustCompile("\\binclude\\s+(?:\"([^\"\\\\]*)\"|`([^`]*)`)")
)

// file returns a file by its name below the folder, with slashes.
func (lib *library) file(name string) *templateFile {
	f := lib.files[name]
	if f == nil {
		f = &templateFile{}
		f.err = lib.read(f, name)
		lib.files[name] = f
	}
	return f
}

func (lib *library) read(f *templateFile, name string) error {
	text, err := readTemplate(lib.dir, name)
	if err != nil {
		return err
	}
	f.digest = sha256.Sum256(text)
	f.trees, err = parse.Parse(name, string(text), lib.left, lib.right, lib.functions)
	if err != nil {
		return explain(lib.dir, err, lib.functions)
	}
	f.calls = map[string]bool{}
	for _, action := range lib.action.FindAllSubmatch(text, -1) {
		if bytes.HasPrefix(bytes.TrimLeft(action[1], "- \t\r\n"), []byte("/*")) {
			continue
		}
		for _, w := range word.FindAll(action[1], -1) {
			if _, ok := lib.functions[string(w)]; ok {
				f.calls[string(w)] = true
			}
		}
		literal := literalInclude.FindAllSubmatch(action[1], -1)
		for _, m := range literal {
			f.includes = append(f.includes, string(m[1])+string(m[2]))
		}
		if len(includeCall.FindAll(action[1], -1)) > len(literal) {
			f.computes = true
		}
	}
	return nil
}

// all returns every file of the folder: any of them may be included by a name
// that a template computes. Those that are no templates are in it with their
// errors, and matter only if they are asked for.
func (lib *library) all() (map[string]*templateFile, error) {
	if lib.complete {
		return lib.files, nil
	}
	err := filepath.WalkDir(lib.dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path != lib.dir && strings.HasPrefix(entry.Name(), "."):
			if entry.IsDir() {
				return fs.SkipDir
			}
		case !entry.IsDir():
			name, err := filepath.Rel(lib.dir, path)
			if err != nil {
				return err
			}
			lib.file(filepath.ToSlash(name))
		}
		return nil
	})
	lib.complete = err == nil
	return maps.Clone(lib.files), err
}

// errNoTemplate is wrapped by the error of a template that cannot be read.
var errNoTemplate = errors.New("read template")

// readTemplate reads the template name below dir, which it must not leave.
func readTemplate(dir, name string) ([]byte, error) {
	path := filepath.Join(dir, filepath.FromSlash(name))
	if !filepath.IsLocal(strings.TrimLeft(name, "/")) {
		return nil, fmt.Errorf("%w: %q is not below %s", errNoTemplate, name, dir)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoTemplate, err)
	}
	return text, nil
}
