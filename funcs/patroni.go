package funcs

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"pc4patroni/funcs/patroni"
	"pc4patroni/internal/nearest"
)

// patroniFuncs returns the functions over Patroni's clusters. Those that take
// a cluster take it as an optional last argument: a path below the prefix, or
// a cluster. Without it they mean the cluster at the prefix.
func (e *Env) patroniFuncs() template.FuncMap {
	type members = []*patroni.Member
	return template.FuncMap{
		"cluster":  e.cluster,
		"clusters": func() []*patroni.Cluster { return e.Store.Clusters(e.Prefix) },

		"primary":       e.primary,
		"promoted":      e.promoted,
		"leader":        of(e, func(c *patroni.Cluster) *patroni.Member { return c.Leader }),
		"standbyLeader": of(e, func(c *patroni.Cluster) *patroni.Member { return c.StandbyLeader }),

		"members":      of(e, func(c *patroni.Cluster) members { return c.Members }),
		"replicas":     of(e, func(c *patroni.Cluster) members { return c.Replicas }),
		"readers":      of(e, func(c *patroni.Cluster) members { return c.Readers }),
		"syncStandbys": of(e, func(c *patroni.Cluster) members { return c.SyncStandbys }),
		"quorumVoters": of(e, func(c *patroni.Cluster) members { return c.QuorumVoters }),
		"asyncReaders": of(e, func(c *patroni.Cluster) members { return c.AsyncReaders }),

		"maxLag":     maxLag,
		"withTag":    withTag(patroni.WithTag),
		"withoutTag": withTag(patroni.WithoutTag),
		"hasTag":     hasTag,
		"streaming":  filter(func(m *patroni.Member) bool { return m.ReplicationState == patroni.Streaming }),
		"withAPI":    filter(func(m *patroni.Member) bool { return m.APIAddr != "" }),
		"orElse":     func(other, list any) (members, error) { return firstOf(list, other) },
		"firstOf":    firstOf,
		"atLeast":    atLeast,

		"names": each(func(m *patroni.Member) string { return m.Name }),
		"hosts": each(func(m *patroni.Member) string { return m.Host }),
		"ports": each(func(m *patroni.Member) int { return m.Port }),
		"addrs": each(func(m *patroni.Member) string { return m.Addr }),
	}
}

// cluster returns the cluster that a function is asked about.
func (e *Env) cluster(where ...any) (*patroni.Cluster, error) {
	if len(where) > 1 {
		return nil, fmt.Errorf("want one path or one cluster, not %d arguments", len(where))
	}
	at := ""
	if len(where) == 1 {
		switch given := where[0].(type) {
		case *patroni.Cluster:
			if given == nil {
				return nil, errors.New("got no cluster; .Group gives nothing for a Citus group that does not exist")
			}
			return given, nil
		case string:
			if at = path.Clean("/" + given); at == "/" {
				at = ""
			}
		default:
			return nil, fmt.Errorf("want the path of a cluster or a cluster, not %s", describe(given))
		}
	}
	if cluster := e.Store.cluster(e.Prefix, at); cluster != nil {
		if cluster.Problem != "" && len(cluster.Members) == 0 {
			return nil, fmt.Errorf("%s cannot be used: %s", cluster.Path, cluster.Problem)
		}
		return cluster, nil
	}
	return nil, e.noCluster(at)
}

// noCluster says that the keys at a path are no cluster, and where there is
// one.
func (e *Env) noCluster(at string) error {
	prefix := strings.TrimSuffix(e.Prefix, "/")
	where := cmp.Or(shown(prefix+at), "/")
	paths := e.Store.clusterPaths()
	switch {
	case e.Store.Len() == 0:
		return fmt.Errorf("no Patroni cluster at %s: there is no key below the prefix", where)
	case len(paths) == 0:
		return fmt.Errorf("no Patroni cluster at %s: none of the %d keys below the prefix is a leader, initialize or member key", where, e.Store.Len())
	case at == "":
		return fmt.Errorf("no Patroni cluster at %s itself; below it: %s. Name one of them, as in (cluster %q), "+
			"or set the prefix of the resource to it, or loop over them with {{range clusters}}", where, few(paths), paths[0])
	}
	if near := nearest.To(at, paths[:min(len(paths), maxHints)]); near != "" {
		return fmt.Errorf("no Patroni cluster at %s (did you mean %q?)", where, near)
	}
	return fmt.Errorf("no Patroni cluster at %s; there are: %s", where, few(paths))
}

// few lists the first of many paths.
func few(paths []string) string {
	const limit = 5
	quoted := make([]string, 0, limit)
	for _, p := range paths[:min(len(paths), limit)] {
		quoted = append(quoted, strconv.Quote(cmp.Or(p, "/")))
	}
	list := strings.Join(quoted, ", ")
	if more := len(paths) - limit; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return list
}

// plainCluster is cluster for the functions that look at members, which the
// scope of Citus groups has none of.
func (e *Env) plainCluster(where []any) (*patroni.Cluster, error) {
	c, err := e.cluster(where...)
	if err != nil {
		return nil, err
	}
	if c.Citus() {
		numbers := make([]string, len(c.Groups))
		for i, group := range c.Groups {
			numbers[i] = strconv.Itoa(group.GroupNumber)
		}
		return nil, fmt.Errorf("%s is a Citus cluster, whose members are in the groups %s: name one of them, "+
			"as in (cluster.Group 0), which is the coordinator", c.Path, strings.Join(numbers, ", "))
	}
	return c, nil
}

// of makes a function for templates that gives something of a cluster.
func of[T any](e *Env, choose func(*patroni.Cluster) T) func(where ...any) (T, error) {
	return func(where ...any) (T, error) {
		c, err := e.plainCluster(where)
		if err != nil {
			var none T
			return none, err
		}
		return choose(c), nil
	}
}

// primary returns the primary. If there is none, the error says why.
func (e *Env) primary(where ...any) (*patroni.Member, error) {
	c, err := e.plainCluster(where)
	if err != nil {
		return nil, err
	}
	if c.Primary == nil {
		return nil, fmt.Errorf("no primary in %s: %s", c.Path, whyNoPrimary(c))
	}
	return c.Primary, nil
}

func whyNoPrimary(c *patroni.Cluster) string {
	switch at := slices.IndexFunc(c.Members, func(m *patroni.Member) bool { return m.IsLeader }); {
	case c.Problem != "":
		return c.Problem
	case c.StandbyCluster && c.Leader != nil:
		return fmt.Sprintf("it is a standby cluster, which follows another cluster and takes no writes; "+
			"standbyLeader gives the member that leads it, %q", c.Leader.Name)
	case c.LeaderName == "":
		why := "the leader key is missing, so no member holds the leader lock at the moment"
		switch {
		case c.StandbyCluster:
			why += ". It is a standby cluster, which has a standbyLeader and never a primary"
		case c.Paused:
			why += ". The cluster is paused: Patroni elects no leader until it is resumed, but PostgreSQL may still be serving"
		case c.Failsafe:
			why += ". Failsafe mode is on: the former primary may still be serving without the lock"
		}
		return why
	case at < 0:
		return fmt.Sprintf("the leader key names %q, but there is no member of that name (its key members/%s is missing): "+
			"it died, or has not registered yet", c.LeaderName, c.LeaderName)
	default:
		return fmt.Sprintf("%q holds the leader lock, but cannot be used: %s", c.LeaderName, c.Members[at].Problem)
	}
}

// promoted returns the primary once it has finished its promotion.
func (e *Env) promoted(where ...any) (*patroni.Member, error) {
	m, err := e.primary(where...)
	if err != nil {
		return nil, err
	}
	if !m.Promoted {
		return nil, fmt.Errorf("%q holds the leader lock, but has not finished its promotion yet (role %s, state %s)", m.Name, m.Role, m.State)
	}
	return m, nil
}
