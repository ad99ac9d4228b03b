package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"pc4patroni/funcs/patroni"
	"pc4patroni/resource/engine"
)

// logNeighbours logs what is beside each prefix that holds no key.
func (p *program) logNeighbours(ctx context.Context, results []engine.ResourceStatus) {
	type place struct{ backend, prefix string }
	told := map[place]bool{}
	for _, r := range results {
		if !errors.Is(r.Err, engine.ErrNoKeys) || told[place{r.Backend, r.Declared.Prefix}] {
			continue
		}
		told[place{r.Backend, r.Declared.Prefix}] = true
		if beside := p.neighbours(ctx, r.Backend, r.Declared.Prefix); beside != "" {
			p.log.Warn("prefix holds no key", "prefix", r.Declared.Prefix, "hint", beside)
		}
	}
}

// nothingBelow is the error of a run that found no key.
func (p *program) nothingBelow(ctx context.Context, readings []reading) error {
	var where, hints []string
	for _, r := range readings {
		where = append(where, fmt.Sprintf("below %s in %s", strings.Join(r.paths, " "), r.backend))
		for _, prefix := range r.paths {
			if beside := p.neighbours(ctx, r.backend, prefix); beside != "" && !slices.Contains(hints, beside) {
				hints = append(hints, beside)
			}
		}
	}
	hint := ""
	if len(hints) > 0 {
		hint = " (" + strings.Join(hints, "; ") + ")"
	}
	return fmt.Errorf("no keys %s%s", strings.Join(where, ", nor "), hint)
}

// maxNeighbours is how many clusters a hint names.
const maxNeighbours = 10

// neighbours names the clusters beside a prefix that holds no key: most often
// one of them was meant. It returns "" where there is none, or none to be seen.
func (p *program) neighbours(ctx context.Context, backend, prefix string) string {
	parent := path.Dir(path.Clean(prefix))
	if parent == "/" {
		parent = "/service" // Patroni's namespace, which was left out most likely
	}
	b, err := p.open(backend)
	if err != nil {
		return ""
	}
	defer b.Close() // the answer is here, or there is none
	ctx, cancel := context.WithTimeout(ctx, p.settings.Backend.RequestTimeout)
	defer cancel()
	updates, err := b.Load(ctx, []string{parent + "/"})
	if err != nil {
		return ""
	}
	var names []string
	for _, cluster := range patroni.Find(maps.Keys(updates[0].Keys)) {
		names = append(names, strings.TrimPrefix(cluster, parent+"/"))
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	more := ""
	if len(names) > maxNeighbours {
		names, more = names[:maxNeighbours], fmt.Sprintf(" and %d more", len(names)-maxNeighbours)
	}
	return fmt.Sprintf("clusters in %s: %s%s", parent, strings.Join(names, ", "), more)
}
