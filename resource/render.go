package resource

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"sync"
	"text/template"
	"text/template/parse"

	"pc4patroni/funcs"
)

// ErrMistake is wrapped by the error of a rendering that no change of the keys
// can mend: a field or a template that does not exist.
var ErrMistake = errors.New("mistake in a template")

// maxIncludes bounds how deeply templates include one another.
const maxIncludes = 100

// A source is a template with all that it may include, parsed once and shared by
// every resource that uses it. Each execution borrows an instance of its own,
// because the functions are bound to the env of one execution.
type source struct {
	dir      string // the folder of the templates
	name     string // slash-separated, below dir
	trees    map[string]*parse.Tree
	calls    map[string]bool          // the functions that are called; nil is all
	computed map[string]*templateFile // what may be included by a computed name
	digest   [sha256.Size]byte        // of all that was read

	mu   sync.Mutex
	idle []*instance
}

// instance is an executable copy of a source; one execution at a time.
type instance struct {
	env      *funcs.Env
	root     *template.Template
	includes int
}

// newInstance returns an instance with only the functions that are called:
// text/template keeps two maps of them, and a template calls few of hundreds.
func (s *source) newInstance() *instance {
	in := &instance{env: &funcs.Env{}}
	functions := funcs.Map(in.env)
	functions["include"] = func(name string, data ...any) (string, error) { return in.include(s, name, data) }
	if s.calls != nil {
		maps.DeleteFunc(functions, func(name string, _ any) bool { return !s.calls[name] })
	}
	in.root = template.New(s.name).Funcs(functions)
	in.add(s.trees)
	return in
}

// add makes trees callable, except those whose names are taken.
func (in *instance) add(trees map[string]*parse.Tree) {
	for name, tree := range trees {
		if t := in.root.Lookup(name); t == nil || t.Tree == nil {
			// It fails only for a template that has been executed.
			template.Must(in.root.AddParseTree(name, tree))
		}
	}
}

// include executes a template of the set, or a file below the folder, with
// data and returns what it printed.
func (in *instance) include(s *source, name string, data []any) (string, error) {
	if len(data) > 1 {
		return "", fmt.Errorf("include takes a name and one value, got %d values: use dict or list to pass several", len(data))
	}
	if in.includes >= maxIncludes {
		return "", &templateError{text: fmt.Sprintf("include %q: includes are nested more than %d deep: does it include itself?", name, maxIncludes), mistake: true}
	}
	t := in.root.Lookup(name)
	if t == nil {
		f := s.computed[name]
		if f == nil {
			return "", fmt.Errorf("include %q: no such template was below %s when the configuration was read", name, s.dir)
		}
		if f.err != nil {
			return "", f.err
		}
		in.add(f.trees)
		t = in.root.Lookup(name)
	}
	in.includes++
	defer func() { in.includes-- }()
	var value any
	if len(data) == 1 {
		value = data[0]
	}
	var out bytes.Buffer
	err := t.Execute(&out, value)
	return out.String(), err
}

// Render executes the resource's template with env, and sets env.UsedTime.
// Several goroutines may call it at once, each with its own env.
func (res *Resource) Render(env *funcs.Env) ([]byte, error) {
	s := res.source
	in := s.borrow()
	defer s.giveBack(in)
	*in.env = *env
	in.includes = 0
	var out bytes.Buffer
	err := in.root.Execute(&out, nil)
	env.UsedTime = in.env.UsedTime
	*in.env = funcs.Env{}
	if err != nil {
		return nil, explain(s.dir, err, nil)
	}
	return out.Bytes(), nil
}

func (s *source) borrow() *instance {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.idle); n > 0 {
		in := s.idle[n-1]
		s.idle = s.idle[:n-1]
		return in
	}
	return s.newInstance()
}

func (s *source) giveBack(in *instance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = append(s.idle, in)
}
