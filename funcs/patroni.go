package funcs

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"reflect"
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
		"leader":        e.member(func(c *patroni.Cluster) *patroni.Member { return c.Leader }),
		"standbyLeader": e.member(func(c *patroni.Cluster) *patroni.Member { return c.StandbyLeader }),

		"members":      e.list(func(c *patroni.Cluster) members { return c.Members }),
		"replicas":     e.list(func(c *patroni.Cluster) members { return c.Replicas }),
		"readers":      e.list(func(c *patroni.Cluster) members { return c.Readers }),
		"syncStandbys": e.list(func(c *patroni.Cluster) members { return c.SyncStandbys }),
		"quorumVoters": e.list(func(c *patroni.Cluster) members { return c.QuorumVoters }),
		"asyncReaders": e.list(func(c *patroni.Cluster) members { return c.AsyncReaders }),

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
				return nil, errors.New("there is no such cluster; a Citus group that does not exist gives nothing")
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
		return cluster, nil
	}
	return nil, e.noCluster(at)
}

// noCluster says that the keys at a path are no cluster, and where there is
// one.
func (e *Env) noCluster(at string) error {
	prefix := strings.TrimSuffix(e.Prefix, "/")
	where := shown(prefix + at)
	if where == "" {
		where = "/"
	}
	paths := e.Store.clusterPaths()
	switch {
	case e.Store.Len() == 0:
		return fmt.Errorf("no Patroni cluster at %s: there is no key below the prefix", where)
	case len(paths) == 0:
		return fmt.Errorf("no Patroni cluster at %s: none of the %d keys below the prefix is the leader, initialize or member key of one", where, e.Store.Len())
	case at == "":
		return fmt.Errorf("no Patroni cluster at %s itself; below it: %s. Name one of them, as in (cluster %q), "+
			"or set the prefix of the resource to it, or loop over them with {{range clusters}}", where, few(paths), paths[0])
	}
	if near := nearest.To(at, slices.Values(paths[:min(len(paths), maxHints)])); near != "" {
		return fmt.Errorf("no Patroni cluster at %s (did you mean %q?)", where, near)
	}
	return fmt.Errorf("no Patroni cluster at %s; there are: %s", where, few(paths))
}

// few lists the first of many paths.
func few(paths []string) string {
	const most = 5
	var b strings.Builder
	for i, p := range paths[:min(len(paths), most)] {
		if i > 0 {
			b.WriteString(", ")
		}
		if p == "" {
			p = "/"
		}
		b.WriteString(strconv.Quote(p))
	}
	if more := len(paths) - most; more > 0 {
		fmt.Fprintf(&b, " and %d more", more)
	}
	return b.String()
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

func (e *Env) member(choose func(*patroni.Cluster) *patroni.Member) func(...any) (*patroni.Member, error) {
	return func(where ...any) (*patroni.Member, error) {
		c, err := e.plainCluster(where)
		if err != nil {
			return nil, err
		}
		return choose(c), nil
	}
}

func (e *Env) list(choose func(*patroni.Cluster) []*patroni.Member) func(...any) ([]*patroni.Member, error) {
	return func(where ...any) ([]*patroni.Member, error) {
		c, err := e.plainCluster(where)
		if err != nil {
			return nil, err
		}
		return choose(c), nil
	}
}

// primary returns the primary. Where there is none the error says why, in
// words for whoever is woken up by it.
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
			why += ". The cluster is paused: Patroni elects nobody until it is resumed, and PostgreSQL may be serving all the same"
		case c.Failsafe:
			why += ". Failsafe mode is on: the former primary may be serving still without the lock"
		}
		return why
	case at < 0:
		return fmt.Sprintf("the leader key names %q, but there is no member of that name (its key members/%s is missing): "+
			"it has died, or it has not registered yet", c.LeaderName, c.LeaderName)
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

// asMembers returns what a filter was given as a list: a list of members, also
// one that a function of sprig has made, a single member, or nothing. A single
// member without an address counts as nothing.
func asMembers(list any) ([]*patroni.Member, error) {
	switch list := list.(type) {
	case nil:
		return nil, nil
	case []*patroni.Member:
		return list, nil
	case *patroni.Member:
		if list == nil || !list.Usable() {
			return nil, nil
		}
		return []*patroni.Member{list}, nil
	}
	v := reflect.ValueOf(list)
	if v.Kind() != reflect.Slice {
		return nil, fmt.Errorf("want a list of members, not %s", describe(list))
	}
	members := make([]*patroni.Member, 0, v.Len())
	for i := range v.Len() {
		m, ok := v.Index(i).Interface().(*patroni.Member)
		if !ok {
			return nil, fmt.Errorf("want a list of members, not a list with %s", describe(v.Index(i).Interface()))
		}
		if m != nil {
			members = append(members, m)
		}
	}
	return members, nil
}

// filter makes a function for templates that selects members.
func filter(keep func(*patroni.Member) bool) func(any) ([]*patroni.Member, error) {
	return func(list any) ([]*patroni.Member, error) {
		members, err := asMembers(list)
		return patroni.Filter(members, keep), err
	}
}

// hasTag selects the members that have a tag, whatever its value.
func hasTag(name string, list any) ([]*patroni.Member, error) {
	return filter(func(m *patroni.Member) bool { return m.HasTag(name) })(list)
}

// maxLag takes its limit as text with a unit or as a number of bytes.
func maxLag(limit, list any) ([]*patroni.Member, error) {
	members, err := asMembers(list)
	if err != nil {
		return nil, err
	}
	text, ok := limit.(string)
	if !ok {
		bytes, err := integer(limit)
		return patroni.WithinLag(patroni.Bytes(bytes), members), err
	}
	bytes, err := patroni.ParseBytes(text)
	if err != nil {
		return nil, err
	}
	return patroni.WithinLag(bytes, members), nil
}

// withTag makes a function for templates of one that selects by a tag. The
// value may be text, a number or a boolean: tags in YAML are any of them.
func withTag(choose func(name, value string, list []*patroni.Member) []*patroni.Member) func(string, any, any) ([]*patroni.Member, error) {
	return func(name string, value, list any) ([]*patroni.Member, error) {
		members, err := asMembers(list)
		if err != nil {
			return nil, err
		}
		text := ""
		switch value := value.(type) {
		case string:
			text = value
		case float64:
			text = strconv.FormatFloat(value, 'f', -1, 64)
		default:
			if _, isNumber := numberOf(value); !isNumber && reflect.ValueOf(value).Kind() != reflect.Bool {
				return nil, fmt.Errorf("the value of a tag is text, a number or a boolean, not %s", describe(value))
			}
			text = fmt.Sprint(value)
		}
		return choose(name, text, members), nil
	}
}

// firstOf returns the first of choices that is not empty; each is a list of
// members or a single one. All of them are looked at, so that a mistake does
// not wait for the day on which a list is empty.
func firstOf(choices ...any) ([]*patroni.Member, error) {
	var first []*patroni.Member
	for _, choice := range choices {
		members, err := asMembers(choice)
		if err != nil {
			return nil, err
		}
		if len(first) == 0 {
			first = members
		}
	}
	return first, nil
}

// atLeast passes a list on if it is long enough, and is an error, which holds
// the resource, if it is not.
func atLeast(least, list any) ([]*patroni.Member, error) {
	members, err := asMembers(list)
	if err != nil {
		return nil, err
	}
	n, err := integer(least)
	if err != nil {
		return nil, err
	}
	if int64(len(members)) < n {
		return nil, fmt.Errorf("the list has too few members: %d of at least %d", len(members), n)
	}
	return members, nil
}

// each makes a function that lists one field of the members which have an
// address, so that hosts and ports fit together.
func each[T any](field func(*patroni.Member) T) func(any) ([]T, error) {
	return func(list any) ([]T, error) {
		members, err := asMembers(list)
		fields := make([]T, 0, len(members))
		for _, m := range members {
			if m.Usable() {
				fields = append(fields, field(m))
			}
		}
		return fields, err
	}
}

// Names returns the names of all functions of Map, sorted, for documentation
// and for hints at a mistyped name.
func Names() []string {
	return slices.Sorted(maps.Keys(Map(&Env{})))
}
