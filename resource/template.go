package resource

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"text/template"
	"text/template/parse"

	"pc4patroni/funcs"
)

// maxIncludes bounds how deeply templates include one another.
const maxIncludes = 100

// A source is a template with all that it includes, parsed once and shared by
// every resource that uses it. Several goroutines may execute it at once: each
// execution borrows an instance of its own, because functions are bound to
// what one execution sees.
type source struct {
	dir         string // the folder of the templates
	name        string // slash-separated, below dir
	left, right string // delimiters
	trees       map[string]*parse.Tree
	calls       map[string]bool   // the functions that the trees call
	digest      [sha256.Size]byte // of all that was read

	mu   sync.Mutex
	idle []*instance
}

// instance is an executable copy of a source; one execution at a time.
type instance struct {
	env      *funcs.Env
	root     *template.Template
	includes int
}

// parseSource reads and parses the template name below dir and, recursively,
// the templates that it includes by a literal name.
func parseSource(dir, name, left, right string) (*source, error) {
	s := &source{dir: dir, name: name, left: left, right: right, trees: map[string]*parse.Tree{}}
	hash := sha256.New()
	scratch := s.newInstance()
	for queue := []string{name}; len(queue) > 0; queue = queue[1:] {
		if scratch.root.Lookup(queue[0]) != nil {
			continue
		}
		text, err := readTemplate(dir, queue[0])
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(hash, "%d %s %d ", len(queue[0]), queue[0], len(text))
		hash.Write(text)
		if err := scratch.parse(s, queue[0], string(text)); err != nil {
			return nil, err
		}
		for _, t := range scratch.root.Templates() {
			if s.trees[t.Name()] == nil && t.Tree != nil {
				s.trees[t.Name()] = t.Tree
				queue = append(queue, included(t.Tree.Root)...)
			}
		}
	}
	s.calls = map[string]bool{}
	for _, tree := range s.trees {
		called(tree.Root, s.calls)
	}
	hash.Sum(s.digest[:0])
	return s, nil
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

// newInstance returns an instance that holds everything parsed so far. Once all
// is parsed it has the functions that are called and no others: text/template
// keeps them twice, and of some hundreds few are called. Where something is
// included, more may be parsed at any time.
func (s *source) newInstance() *instance {
	in := &instance{env: &funcs.Env{}}
	functions := funcs.Map(in.env)
	functions["include"] = func(name string, data ...any) (string, error) { return in.include(s, name, data) }
	if s.calls != nil && !s.calls["include"] {
		maps.DeleteFunc(functions, func(name string, _ any) bool { return !s.calls[name] })
	}
	in.root = template.New(s.name).Delims(s.left, s.right).Funcs(functions)
	for name, tree := range s.trees {
		// AddParseTree fails only for a template that has been executed.
		template.Must(in.root.AddParseTree(name, tree))
	}
	return in
}

func (in *instance) parse(s *source, name, text string) error {
	t := in.root
	if name != s.name {
		t = in.root.New(name)
	}
	_, err := t.Parse(text)
	if err != nil {
		return in.explain(s, err, functionNames(in))
	}
	if t.Tree == nil {
		// A file of nothing but spaces and definitions leaves no tree, but
		// must render as an empty file and not as an incomplete template.
		_, err = t.AddParseTree(name, &parse.Tree{Name: name, Root: &parse.ListNode{NodeType: parse.NodeList}})
	}
	return err
}

func functionNames(in *instance) map[string]any {
	names := funcs.Map(in.env)
	names["include"] = nil
	for _, builtin := range []string{"and", "call", "eq", "ge", "gt", "html", "index", "js", "le", "len", "lt", "ne", "not", "or",
		"print", "printf", "println", "slice", "urlquery", "block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"} {
		names[builtin] = nil
	}
	return names
}

// include executes a template of the set, or a file below the folder, with
// data and returns what it printed.
func (in *instance) include(s *source, name string, data []any) (string, error) {
	if len(data) > 1 {
		return "", fmt.Errorf("include takes a name and one value, got %d values: use dict or list to pass several", len(data))
	}
	if in.includes >= maxIncludes {
		return "", fmt.Errorf("include %q: more than %d includes inside one another: does it include itself?", name, maxIncludes)
	}
	t := in.root.Lookup(name)
	if t == nil {
		// The name was computed, so that it could not be read beforehand.
		text, err := readTemplate(s.dir, name)
		if err != nil {
			return "", err
		}
		if err := in.parse(s, name, string(text)); err != nil {
			return "", err
		}
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

// execute renders the template with what prepare puts into the environment.
// The buffer's content is the caller's to keep.
func (s *source) execute(prepare func(*funcs.Env), after func(*funcs.Env)) ([]byte, error) {
	in := s.borrow()
	prepare(in.env)
	var out bytes.Buffer
	in.includes = 0
	err := in.root.Execute(&out, nil)
	after(in.env)
	*in.env = funcs.Env{}
	s.giveBack(in)
	if err != nil {
		return nil, in.explain(s, err, nil)
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
