package check

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"pc4patroni/resource"
)

// Print writes what the good resources load, then a line for each problem.
func Print(w io.Writer, set *resource.Set, problems []Problem) error {
	out := bufio.NewWriter(w)
	for _, r := range set.Resources {
		isBad := func(p Problem) bool { return p.Resource == r.Name && p.Level == Error }
		if slices.ContainsFunc(problems, isBad) {
			continue
		}
		fmt.Fprintf(out, "%s: ok, %s -> %s\n    keys %s in %s\n", r.File, r.Src, r.Dest, strings.Join(r.Keys, " "), r.Backend)
	}
	for _, problem := range problems {
		fmt.Fprintln(out, problem)
	}
	return out.Flush()
}

// PrintJSON writes the same for programs.
func PrintJSON(w io.Writer, set *resource.Set, problems []Problem) error {
	type item struct {
		Name    string   `json:"name"`
		File    string   `json:"file"`
		Src     string   `json:"src"`
		Dest    string   `json:"dest"`
		Backend string   `json:"backend"`
		Keys    []string `json:"keys"`
	}
	document := struct {
		Resources []item    `json:"resources"`
		Problems  []Problem `json:"problems"`
	}{[]item{}, append([]Problem{}, problems...)}
	for _, r := range set.Resources {
		document.Resources = append(document.Resources, item{r.Name, r.File, r.Src, r.Dest, r.Backend, append([]string{}, r.Keys...)})
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(document)
}
