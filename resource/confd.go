package resource

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"text/template/parse"
)

// elsewhere are the functions that abtreece/confd has by the same name, with
// what its calls would have to become.
var elsewhere = map[string]string{
	"trimPrefix": `the prefix comes first here, trimPrefix "www." TEXT; in abtreece/confd it comes last`,
	"camelcase":  `camelcase "http_server" is HttpServer here; in abtreece/confd it is httpServer`,
}

// notHere are keys of abtreece/confd's resource files that have no
// counterpart, with what to do without them.
var notHere = map[string]string{
	"output_format":  "let a check_cmd look at {{.src}}, for example python3 -m json.tool {{.src}}",
	"debounce":       "leave it out: changes that come together are applied together",
	"batch_interval": "leave it out: changes that come together are applied together",
	"failure_mode":   "leave it out: one resource that fails does not stop the others",
}

// Warnings says what a user of confd would be surprised by, one text each. To
// those who are not known to come from there, called as pc4patroni, it says only
// what is a mistake here as well.
func (res *Resource) Warnings(fromConfd bool) []string {
	var found []string
	for _, key := range res.ByName {
		if fromConfd {
			found = append(found, fmt.Sprintf("%s is applied here; confd ignores it, and takes uid and gid only (docs/migration.md, row \"owner, group\")", key))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(res.source.trees)) {
		tree := res.source.trees[name]
		walk(tree.Root, func(call *parse.CommandNode, function string) {
			if why, ok := elsewhere[function]; ok && (fromConfd || isReversed(function, call)) {
				at, _ := tree.ErrorContext(call)
				file, line, _ := strings.Cut(at, ":")
				line, _, _ = strings.Cut(line, ":")
				found = append(found, fmt.Sprintf("%s: line %s: %s (docs/migration.md, row \"trimPrefix, camelcase\")", filepath.Join(res.source.dir, file), line, why))
			}
		})
	}
	return found
}

// isReversed tells whether a call has its arguments as only abtreece/confd
// takes them: nobody trims what is not known off a literal.
func isReversed(function string, call *parse.CommandNode) bool {
	if function != "trimPrefix" || len(call.Args) != 3 {
		return false
	}
	return call.Args[1].Type() != parse.NodeString && call.Args[2].Type() == parse.NodeString
}

// walk visits every call of a function below a node.
func walk(node parse.Node, visit func(call *parse.CommandNode, function string)) {
	branch := func(n *parse.BranchNode) {
		walk(n.Pipe, visit)
		walk(n.List, visit)
		walk(n.ElseList, visit)
	}
	switch n := node.(type) {
	case *parse.ListNode:
		if n != nil {
			for _, child := range n.Nodes {
				walk(child, visit)
			}
		}
	case *parse.IfNode:
		branch(&n.BranchNode)
	case *parse.RangeNode:
		branch(&n.BranchNode)
	case *parse.WithNode:
		branch(&n.BranchNode)
	case *parse.ActionNode:
		walk(n.Pipe, visit)
	case *parse.TemplateNode:
		walk(n.Pipe, visit)
	case *parse.ChainNode:
		walk(n.Node, visit)
	case *parse.PipeNode:
		if n != nil {
			for _, command := range n.Cmds {
				walk(command, visit)
			}
		}
	case *parse.CommandNode:
		if name, ok := n.Args[0].(*parse.IdentifierNode); ok {
			visit(n, name.Ident)
		}
		for _, arg := range n.Args {
			walk(arg, visit)
		}
	}
}
