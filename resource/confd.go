package resource

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"text/template/parse"
	"unicode"
)

// differing are the functions that abtreece/confd has by the same name but that
// work differently there.
var differing = map[string]string{
	"trimPrefix": `the prefix comes first here, trimPrefix "www." TEXT; in abtreece/confd it comes last`,
	"camelcase":  `camelcase "http_server" is HttpServer here; in abtreece/confd it is httpServer`,
}

// swapped says for functions of a text and something to look for how they are
// called here. text is the place of the text: confd has it first, sprig last.
var swapped = map[string]struct {
	text  int
	usage string
}{
	"contains":   {1, `contains TEXT "part"`},
	"split":      {1, `split TEXT ","`},
	"trimSuffix": {1, `trimSuffix TEXT ".conf"`},
	"splitList":  {2, `splitList "," TEXT`},
	"trimPrefix": {2, `trimPrefix "www." TEXT`},
	"trimAll":    {2, `trimAll "/" TEXT`},
	"hasPrefix":  {2, `hasPrefix "db" TEXT`},
	"hasSuffix":  {2, `hasSuffix ".conf" TEXT`},
	"regexMatch": {2, `regexMatch "^db" TEXT`},
	"regexFind":  {2, `regexFind "[0-9]+" TEXT`},
	"default":    {2, `default "value" TEXT`},
	"regexSplit": {2, `regexSplit ", *" TEXT -1`},
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
	for _, key := range res.byName {
		if fromConfd {
			found = append(found, fmt.Sprintf("%s takes effect here; confd ignores it and knows only uid and gid (docs/migration.md, row \"owner, group\")", key))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(res.source.trees)) {
		tree := res.source.trees[name]
		walkCalls(tree.Root, func(function string, call *parse.CommandNode) {
			why, ok := differing[function]
			switch {
			case ok && (fromConfd || isSwapped(function, call.Args)):
				why += ` (docs/migration.md, row "trimPrefix, camelcase")`
			case isSwapped(function, call.Args):
				why = fmt.Sprintf("the arguments of %s seem to be swapped: write %s (docs/template-functions.md, \"Arguments in another order\")", function, swapped[function].usage)
			case function == "replace" && len(call.Args) == 4:
				why = "replace takes the text first and a number last, as in confd: write replace TEXT \"old\" \"new\" -1 (docs/template-functions.md, \"Arguments in another order\")"
			default:
				return
			}
			at, _ := tree.ErrorContext(call)
			file, line, _ := strings.Cut(at, ":")
			line, _, _ = strings.Cut(line, ":")
			found = append(found, fmt.Sprintf("%s: line %s: %s", filepath.Join(res.source.dir, file), line, why))
		})
	}
	return found
}

// isSwapped tells whether a function is given a literal where its text belongs,
// and something else in the place of what to look for: nobody trims a variable
// prefix off a literal. A literal with several words may be a list in which to
// look for a variable. The first of args is the function itself.
func isSwapped(function string, args []parse.Node) bool {
	order, ok := swapped[function]
	if !ok || len(args) < 3 {
		return false
	}
	text, isLiteral := args[order.text].(*parse.StringNode)
	return isLiteral && args[3-order.text].Type() != parse.NodeString && len(strings.FieldsFunc(text.Text, isSeparator)) < 2
}

func isSeparator(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(",;|", r) }
