package resource

import "text/template/parse"

// walk calls visit for node and for every node below it.
func walk(node parse.Node, visit func(parse.Node)) {
	visit(node)
	branch := func(b *parse.BranchNode) {
		walk(b.Pipe, visit)
		walk(b.List, visit)
		if b.ElseList != nil {
			walk(b.ElseList, visit)
		}
	}
	switch n := node.(type) {
	case *parse.ListNode:
		for _, below := range n.Nodes {
			walk(below, visit)
		}
	case *parse.ActionNode:
		walk(n.Pipe, visit)
	case *parse.IfNode:
		branch(&n.BranchNode)
	case *parse.RangeNode:
		branch(&n.BranchNode)
	case *parse.WithNode:
		branch(&n.BranchNode)
	case *parse.TemplateNode:
		if n.Pipe != nil {
			walk(n.Pipe, visit)
		}
	case *parse.PipeNode:
		for _, command := range n.Cmds {
			walk(command, visit)
		}
	case *parse.CommandNode:
		for _, arg := range n.Args {
			walk(arg, visit)
		}
	case *parse.ChainNode:
		walk(n.Node, visit)
	}
}

// included returns the literal names that the include calls below node give.
func included(node parse.Node) []string {
	var names []string
	walk(node, func(below parse.Node) {
		n, ok := below.(*parse.CommandNode)
		if !ok || len(n.Args) < 2 {
			return
		}
		if id, ok := n.Args[0].(*parse.IdentifierNode); ok && id.Ident == "include" {
			if name, ok := n.Args[1].(*parse.StringNode); ok {
				names = append(names, name.Text)
			}
		}
	})
	return names
}

// called adds the names of the functions that are called below node to names.
func called(node parse.Node, names map[string]bool) {
	walk(node, func(below parse.Node) {
		if id, ok := below.(*parse.IdentifierNode); ok {
			names[id.Ident] = true
		}
	})
}
