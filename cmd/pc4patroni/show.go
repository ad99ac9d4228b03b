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
	"pc4patroni/internal/config"
	"pc4patroni/internal/report"
	"pc4patroni/internal/terminal"
	"pc4patroni/resource"
	"pc4patroni/resource/engine"
)

// show prints the clusters among the keys as the template functions see them,
// and how each resource stands with them. Of several backends, one that cannot
// be reached does not hide what the others hold.
func (p *program) show(ctx context.Context) error {
	p.warnOutdated(ctx)
	named := config.NewBackends(p.settings)
	set, readings, err := p.toShow(named)
	if err != nil {
		return err
	}
	if err := p.readAll(ctx, opener(named, p.log), readings); err != nil {
		return err
	}
	found := &findings{now: time.Now(), severalBackends: len(readings) > 1}
	for _, r := range readings {
		found.add(r)
	}
	if set != nil {
		if found.resources, err = p.viewResources(ctx, set, readings); err != nil {
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
	return found.verdict(readings)
}

// toShow says what to read: what is below -prefix, if that was typed, else what
// the resources load, which are then looked at as well. A prefix out of the
// configuration file or the environment belongs to the resources, if there are
// any.
func (p *program) toShow(named *config.Backends) (*resource.Set, []reading, error) {
	if p.settings.PrefixTyped() {
		readings, err := p.toRead(named, nil)
		return nil, readings, err
	}
	set, err := p.loadToRead(named)
	if errors.Is(err, resource.ErrNoResources) && p.settings.Prefix != "" {
		readings, err := p.toRead(named, nil)
		return nil, readings, err
	}
	if err != nil {
		return nil, nil, err
	}
	readings, err := p.toRead(named, set)
	return set, readings, err
}

// findings are what -show prints.
type findings struct {
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

func (f *findings) add(r reading) {
	store := funcs.NewStore()
	store.Replace(maps.All(r.values))
	for _, c := range store.Clusters("/") {
		f.clusters = append(f.clusters, foundCluster{r.backend, c})
	}
}

// writeTable prints for people.
func (f *findings) writeTable(w *bytes.Buffer) {
	backend := ""
	for _, c := range f.clusters {
		if f.severalBackends && c.backend != backend {
			backend = c.backend
			separate(w)
			fmt.Fprintf(w, "from %s:\n", terminal.Visible(backend))
		}
		printCluster(w, c.Cluster, f.now)
	}
	if len(f.resources) > 0 {
		separate(w)
	}
	for i := range f.resources {
		printResource(w, &f.resources[i])
	}
}

// separate puts an empty line below what has been printed.
func separate(w *bytes.Buffer) {
	if w.Len() > 0 {
		w.WriteByte('\n')
	}
}

// verdict is the error that decides the exit status.
func (f *findings) verdict(readings []reading) error {
	var unread []error
	keys := 0
	for _, r := range readings {
		keys += len(r.values)
		if r.err != nil {
			unread = append(unread, r.err)
		}
	}
	troubled := 0
	for i := range f.resources {
		if r := &f.resources[i].result; report.State(r).Level > report.OK && r.State != engine.Pending && r.State != engine.Waiting {
			troubled++
		}
	}
	switch {
	case len(f.resources) > 0 && !slices.ContainsFunc(f.resources, func(v resourceView) bool { return v.declared != nil }):
		return &configError{errors.New("no resource can be used; name the keys with -prefix")}
	case len(unread) > 0:
		return errors.Join(unread...)
	case troubled > 0:
		return fmt.Errorf("%d of %d resources failed, are held or have a pending reload", troubled, len(f.resources))
	case len(f.clusters) > 0:
		return nil
	case keys == 0:
		return errors.New(nothingBelow(readings))
	default:
		return fmt.Errorf("none of the %d keys belongs to a cluster of Patroni", keys)
	}
}
