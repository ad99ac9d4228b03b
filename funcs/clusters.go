package funcs

import (
	"cmp"
	"slices"
	"strings"

	"pc4patroni/funcs/patroni"
)

// clusterCache holds what was decoded from the keys of a store until one of
// these keys changes. Paths are relative to the prefix of the resource.
type clusterCache struct {
	decoded map[string]*patroni.Cluster
	// prefix is what the decoded clusters have in front of their paths.
	prefix string

	// paths are those of all clusters, nil if they are not known.
	paths []string

	// problems are those of the clusters that were decoded since somebody asked.
	problems []string
}

// changed forgets what was decoded from key: the clusters at every path above
// it, because the key of a Citus group belongs to the group and to its scope.
func (c *clusterCache) changed(key string) {
	for i := range len(key) {
		if key[i] == '/' {
			delete(c.decoded, key[:i])
		}
	}
}

// clusterPaths returns the paths of all clusters, sorted.
func (s *Store) clusterPaths() []string {
	if s.clusters.paths == nil {
		s.clusters.paths = patroni.Find(s.below(""))
	}
	return s.clusters.paths
}

// cluster returns the cluster at a path below prefix, or nil if the keys there
// are none.
func (s *Store) cluster(prefix, path string) *patroni.Cluster {
	c := &s.clusters
	if c.prefix != prefix {
		clear(c.decoded)
		c.prefix = prefix
	}
	if cluster, ok := c.decoded[path]; ok {
		return cluster
	}
	var relative []string
	keys := map[string]string{}
	for key := range s.below(path) {
		relative = append(relative, key[len(path):])
		keys[key[len(path)+1:]], _ = s.Get(key)
	}
	if !slices.Contains(patroni.Find(slices.Values(relative)), "") {
		return nil
	}
	cluster := patroni.Decode(strings.TrimSuffix(prefix, "/")+path, keys)
	c.decoded[path] = cluster
	c.note(cluster)
	return cluster
}

// Clusters returns every cluster among the keys, sorted by scope and then by
// path. prefix is that of the resource. Later changes of the store do not touch
// the clusters.
func (s *Store) Clusters(prefix string) []*patroni.Cluster {
	paths := s.clusterPaths()
	clusters := make([]*patroni.Cluster, 0, len(paths))
	for _, path := range paths {
		if cluster := s.cluster(prefix, path); cluster != nil {
			clusters = append(clusters, cluster)
		}
	}
	slices.SortFunc(clusters, func(a, b *patroni.Cluster) int {
		return cmp.Or(strings.Compare(a.Scope, b.Scope), strings.Compare(a.Path, b.Path))
	})
	return clusters
}

// note collects what is wrong in a cluster that was just decoded.
func (c *clusterCache) note(cluster *patroni.Cluster) {
	if cluster.Problem != "" {
		c.problems = append(c.problems, cluster.Path+": "+cluster.Problem)
		return
	}
	for _, member := range cluster.Members {
		if problem := cmp.Or(member.Problem, member.Warning); problem != "" {
			c.problems = append(c.problems, cluster.Path+"/members/"+member.Name+": "+problem)
		}
	}
	for _, group := range cluster.Groups {
		c.note(group)
	}
}

// Problems returns what is wrong with members of the clusters that were decoded
// since the last call, sorted, each beginning with the key. After each change
// of the cluster's keys a problem comes back until it is solved.
func (s *Store) Problems() []string {
	problems := s.clusters.problems
	s.clusters.problems = nil
	slices.Sort(problems)
	return slices.Compact(problems)
}
