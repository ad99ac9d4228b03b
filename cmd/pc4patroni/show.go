package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"pc4patroni/funcs"
	"pc4patroni/funcs/patroni"
	"pc4patroni/resource"
)

// show prints the clusters among the keys as the template functions see them,
// and how each resource stands with them. Of several backends, one that cannot
// be reached does not hide what the others hold.
func (p *program) show(ctx context.Context) error {
	stores := newStores(p.settings, p.log)
	set, readings, err := p.toShow(stores)
	if err != nil {
		return err
	}
	p.readAll(ctx, stores, readings)
	found := &showing{now: time.Now(), severalBackends: len(readings) > 1}
	for _, r := range readings {
		found.add(r)
	}
	if set != nil {
		if found.resources, err = p.viewResources(ctx, stores, set, readings); err != nil {
			return err
		}
	}

	var out bytes.Buffer
	if p.settings.Output == "json" {
		if err := found.writeJSON(&out); err != nil {
			return err
		}
	} else {
		found.writeTable(&out)
	}
	if _, err := io.Copy(p.stdout, &out); err != nil {
		return err
	}
	if err := unreachable(readings); err != nil {
		return err
	}
	if len(found.clusters) == 0 {
		return errors.New(noClusters(readings))
	}
	return nil
}

// toShow says what to read: what is below -prefix, if that was typed, else what
// the resources load, which are then looked at as well. A prefix out of the
// configuration file or the environment belongs to the resources, if there are
// any.
func (p *program) toShow(stores *stores) (*resource.Set, []reading, error) {
	if p.settings.Prefix != "" && p.settings.source("prefix") == fromFlag {
		readings, err := p.toRead(stores, nil)
		return nil, readings, err
	}
	set, err := p.loadToRead(stores)
	if errors.Is(err, resource.ErrNoResources) && p.settings.Prefix != "" {
		readings, err := p.toRead(stores, nil)
		return nil, readings, err
	}
	if err != nil {
		return nil, nil, err
	}
	readings, err := p.toRead(stores, set)
	return set, readings, err
}

// showing is what -show prints.
type showing struct {
	now             time.Time
	severalBackends bool
	clusters        []foundCluster
	resources       []resourceView
}

// foundCluster is a cluster and where it was found.
type foundCluster struct {
	backend string
	*patroni.Cluster
}

func (s *showing) add(r reading) {
	store := funcs.NewStore()
	store.Replace(maps.All(r.values))
	for _, c := range store.Clusters("/") {
		s.clusters = append(s.clusters, foundCluster{r.backend, c})
	}
}

// writeTable prints for people.
func (s *showing) writeTable(w *bytes.Buffer) {
	backend := ""
	for _, c := range s.clusters {
		if s.severalBackends && c.backend != backend {
			backend = c.backend
			separate(w)
			writeFolded(w, 0, 4, "from "+visible(backend)+":")
		}
		printCluster(w, c.Cluster, s.now)
	}
	if len(s.resources) > 0 {
		separate(w)
	}
	for _, r := range s.resources {
		printResource(w, &r)
	}
}

// separate puts an empty line below what has been printed.
func separate(w *bytes.Buffer) {
	if w.Len() > 0 {
		w.WriteByte('\n')
	}
}

// noClusters says why there is nothing to show.
func noClusters(readings []reading) string {
	keys := 0
	for _, r := range readings {
		keys += len(r.values)
	}
	if keys == 0 {
		return nothingBelow(readings)
	}
	return fmt.Sprintf("none of the %d keys belongs to a cluster of Patroni", keys)
}

// unreachable is the error about the backends that were not read, or nil.
func unreachable(readings []reading) error {
	var errs []error
	for _, r := range readings {
		if r.err != nil {
			errs = append(errs, r.err)
		}
	}
	return errors.Join(slices.Clip(errs)...)
}
