package engine

import (
	"fmt"
	"slices"
	"strings"

	"pc4patroni/funcs/patroni"
)

// maxViewed is the number of clusters up to which a log record says what has
// changed in them.
const maxViewed = 16

// view is what a resource sees of its clusters: who leads and who can be read
// from, by the path of the cluster.
type view map[string]clusterView

type clusterView struct {
	scope, primary string
	readers        []string
}

// look returns what the resource sees now; nil if that is too much to tell, or
// nothing.
func (r *resourceState) look() view {
	clusters := r.keys.store.Clusters(r.Prefix)
	if len(clusters) == 0 || len(clusters) > maxViewed {
		return nil
	}
	v := view{}
	for _, c := range clusters {
		v.add(c)
	}
	return v
}

func (v view) add(c *patroni.Cluster) {
	for _, group := range c.Groups {
		v.add(group)
	}
	seen := clusterView{scope: c.Scope, primary: "none"}
	if c.Primary != nil {
		seen.primary = c.Primary.Name
	} else if c.StandbyLeader != nil {
		seen.primary = c.StandbyLeader.Name
	}
	for _, m := range c.Readers {
		seen.readers = append(seen.readers, m.Name)
	}
	v[c.Path] = seen
}

// since says in words what has changed since before, such as "primary db1 ->
// db2, readers +db1 -db2"; "" if that cannot be told.
func (v view) since(before view) string {
	var words []string
	for path, now := range v {
		was, ok := before[path]
		if !ok {
			continue
		}
		var changes []string
		if was.primary != now.primary {
			changes = append(changes, fmt.Sprintf("primary %s -> %s", was.primary, now.primary))
		}
		var readers []string
		for _, name := range now.readers {
			if !slices.Contains(was.readers, name) {
				readers = append(readers, "+"+name)
			}
		}
		for _, name := range was.readers {
			if !slices.Contains(now.readers, name) {
				readers = append(readers, "-"+name)
			}
		}
		if len(readers) > 0 {
			changes = append(changes, "readers "+strings.Join(readers, " "))
		}
		if len(changes) > 0 && len(v) > 1 {
			changes[0] = now.scope + ": " + changes[0]
		}
		if len(changes) > 0 {
			words = append(words, strings.Join(changes, ", "))
		}
	}
	slices.Sort(words)
	return strings.Join(words, "; ")
}
