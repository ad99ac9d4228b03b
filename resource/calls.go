package resource

import (
	"slices"
	"text/template/parse"
)

// walkCalls visits every function that is named below a node, with the command
// that it is named in. The first argument of a call is the function itself, and
// the last one is what a pipeline hands on to it.
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
		if n == nil {
			return
		}
		var piped []parse.Node
		for _, command := range n.Cmds {
			args := command.Args
			if function, ok := args[0].(*parse.IdentifierNode); ok {
				call := *command
				call.Args = slices.Concat(args, piped)
				visit(function.Ident, &call)
				args = args[1:]
			}
			for _, arg := range args {
				walkCalls(arg, visit)
			}
			piped = []parse.Node{command}
			if len(command.Args) == 1 {
				piped = command.Args
			}
		}
	case *parse.IdentifierNode: // an argument, or before a field: called without arguments
		visit(n.Ident, &parse.CommandNode{NodeType: parse.NodeCommand, Pos: n.Pos, Args: []parse.Node{n}})
	}
}
