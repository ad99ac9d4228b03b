package resource

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"text/template/parse"
)

// differing are the functions that abtreece/confd has by the same name but that
// work differently there.
var differing = map[string]string{
	"trimPrefix": `the prefix comes first here, trimPrefix "www." TEXT; in abtreece/confd it comes last`,
	"camelcase":  `camelcase "http_server" is HttpServer here; in abtreece/confd it is httpServer`,
}

// unsupported are keys of abtreece/confd's resource files that have no
// counterpart, with what to do instead.
var unsupported = map[string]string{
	"output_format":  "use a check_cmd instead, such as python3 -m json.tool {{.src}}",
	"debounce":       "remove it; changes that arrive together are applied together",
	"batch_interval": "remove it; changes that arrive together are applied together",
	"failure_mode":   "remove it; a resource that fails does not stop the others",
}

// Warnings lists what would surprise a user of confd. For those who do not come
// from there, it lists only what is a mistake in pc4patroni as well.
func (res *Resource) Warnings(fromConfd bool) []string {
	var found []string
	for _, key := range res.ByName {
		if fromConfd {
			found = append(found, fmt.Sprintf("%s takes effect here; confd ignores it and knows only uid and gid (docs/migration.md, row \"owner, group\")", key))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(res.source.trees)) {
		tree := res.source.trees[name]
		walkCalls(tree.Root, func(function string, call *parse.CommandNode) {
			if why, ok := differing[function]; ok && (fromConfd || isReversed(function, call)) {
				at, _ := tree.ErrorContext(call)
				file, line, _ := strings.Cut(at, ":")
				line, _, _ = strings.Cut(line, ":")
				found = append(found, fmt.Sprintf("%s: line %s: %s (docs/migration.md, row \"trimPrefix, camelcase\")", filepath.Join(res.source.dir, file), line, why))
			}
		})
	}
	return found
}

// isReversed tells whether the arguments of a call are in the order that
// abtreece/confd wants: nobody trims a variable prefix off a literal.
func isReversed(function string, call *parse.CommandNode) bool {
	if function != "trimPrefix" || len(call.Args) != 3 {
		return false
	}
	return call.Args[1].Type() != parse.NodeString && call.Args[2].Type() == parse.NodeString
}
