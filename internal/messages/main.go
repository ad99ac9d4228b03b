// Messages prints every sentence that the program can say, once, with the places it
// comes from: go run ./internal/messages, at the root of the repository. It is for
// reading them side by side, as those do who get them at night.
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"log"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

func main() {
	log.SetFlags(0)
	places := map[string][]string{} // by sentence
	for _, dir := range []string{"cmd", "internal", "resource", "backends", "funcs"} {
		if err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && slices.Contains([]string{"testdata", "etcdtest", "proctest", "bench", "messages"}, entry.Name()):
				return fs.SkipDir
			case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			return collect(path, places)
		}); err != nil {
			log.Fatal(err)
		}
	}
	for _, sentence := range slices.Sorted(maps.Keys(places)) {
		fmt.Printf("%s\n\t%s\n", sentence, strings.Join(places[sentence], " "))
	}
}

// collect adds the sentences of a file: its strings of several words.
func collect(path string, places map[string][]string) error {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	ast.Inspect(file, func(n ast.Node) bool {
		literal, ok := n.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING {
			return true
		}
		if text, err := strconv.Unquote(literal.Value); err == nil && len(strings.Fields(text)) > 1 {
			at := files.Position(literal.Pos())
			places[text] = append(places[text], fmt.Sprintf("%s:%d", at.Filename, at.Line))
		}
		return true
	})
	return nil
}
