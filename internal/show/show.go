// Package show prints what -show found: clusters and resources, as text for people
// or as JSON for programs. It reads nothing itself.
package show

import (
	"bytes"
	"fmt"
	"maps"
	"time"

	"pc4patroni/funcs"
	"pc4patroni/funcs/patroni"
	"pc4patroni/internal/terminal"
)

// Findings are what -show prints.
type Findings struct {
	Now             time.Time
	SeveralBackends bool
	Clusters        []FoundCluster
	Resources       []Resource
}

// FoundCluster is a cluster and where it was found.
type FoundCluster struct {
	Backend string
	*patroni.Cluster
}

func (f *Findings) Add(backend string, keys map[string]string) {
	store := funcs.NewStore()
	store.Replace(maps.All(keys))
	for _, c := range store.Clusters("/") {
		f.Clusters = append(f.Clusters, FoundCluster{backend, c})
	}
}

// WriteTable prints for people.
func (f *Findings) WriteTable(w *bytes.Buffer) {
	backend := ""
	for _, c := range f.Clusters {
		if f.SeveralBackends && c.Backend != backend {
			backend = c.Backend
			separate(w)
			fmt.Fprintf(w, "from %s:\n", terminal.Visible(backend))
		}
		printCluster(w, c.Cluster, f.Now)
	}
	if len(f.Resources) > 0 {
		separate(w)
	}
	for i := range f.Resources {
		printResource(w, &f.Resources[i])
	}
}

// separate puts an empty line below what has been printed.
func separate(w *bytes.Buffer) {
	if w.Len() > 0 {
		w.WriteByte('\n')
	}
}
