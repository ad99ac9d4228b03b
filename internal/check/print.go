package check

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"pc4patroni/resource"
)

// Print writes what the good resources load, then a line for each problem.
func Print(w io.Writer, set *resource.Set, problems []Problem) error {
	for _, r := range set.Resources {
		isBad := func(p Problem) bool { return p.Resource == r.Name && p.Level == Error }
		if slices.ContainsFunc(problems, isBad) {
			continue
		}
		if _, err := fmt.Fprintf(w, "%s: ok, %s -> %s\n    keys %s in %s\n", r.File, r.Src, r.Dest, strings.Join(r.Keys, " "), r.Backend); err != nil {
			return err
		}
	}
	for _, problem := range problems {
		if _, err := fmt.Fprintln(w, problem); err != nil {
			return err
		}
	}
	return nil
}

// PrintJSON writes the same for programs.
func PrintJSON(w io.Writer, set *resource.Set, problems []Problem) error {
	all := checked{Resources: []checkedResource{}, Problems: append([]Problem{}, problems...)}
	for _, r := range set.Resources {
		all.Resources = append(all.Resources, checkedResource{r.Name, r.File, r.Src, r.Dest, r.Backend, append([]string{}, r.Keys...)})
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(all)
}

// checked is the JSON document.
type checked struct {
	Resources []checkedResource `json:"resources"`
	Problems  []Problem         `json:"problems"`
}

type checkedResource struct {
	Name    string   `json:"name"`
	File    string   `json:"file"`
	Src     string   `json:"src"`
	Dest    string   `json:"dest"`
	Backend string   `json:"backend"`
	Keys    []string `json:"keys"`
}
