package resource

import "text/template/parse"

// walkCalls visits every function that is named below a node, with the command
// that it is named in: the first argument of a call is the function itself.
func walkCalls(node parse.Node, visit func(function string, call *parse.CommandNode)) {
	branch := func(n *parse.BranchNode) {
		walkCalls(n.Pipe, visit)
		walkCalls(n.List, visit)
		walkCalls(n.ElseList, visit)
	}
	switch n := node.(type) {
	case *parse.ListNode:
		if n != nil {
			for _, child := range n.Nodes {
				walkCalls(child, visit)
			}
		}
	case *parse.IfNode:
		branch(&n.BranchNode)
	case *parse.RangeNode:
		branch(&n.BranchNode)
	case *parse.WithNode:
		branch(&n.BranchNode)
	case *parse.ActionNode:
		walkCalls(n.Pipe, visit)
	case *parse.TemplateNode:
		walkCalls(n.Pipe, visit)
	case *parse.ChainNode:
		walkCalls(n.Node, visit)
	case *parse.PipeNode:
		if n != nil {
			for _, command := range n.Cmds {
				walkCalls(command, visit)
			}
		}
	case *parse.CommandNode:
		args := n.Args
		if function, ok := args[0].(*parse.IdentifierNode); ok {
			visit(function.Ident, n)
			args = args[1:]
		}
		for _, arg := range args {
			walkCalls(arg, visit)
		}
	case *parse.IdentifierNode: // an argument, or before a field: called without arguments
		visit(n.Ident, &parse.CommandNode{NodeType: parse.NodeCommand, Pos: n.Pos, Args: []parse.Node{n}})
	}
}
