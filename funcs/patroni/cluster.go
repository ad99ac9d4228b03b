package patroni

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// The modes of synchronous replication, the values of Cluster.SyncMode.
const (
	SyncOff    = "off"
	SyncOn     = "on"
	SyncQuorum = "quorum"
)

// A Cluster is what the keys of one scope say, or of one group of a Citus
// scope. All lists of members are sorted by name.
type Cluster struct {
	// Path is the path of the keys, and Scope its last element, or that of the
	// parent for a group of Citus. A question mark replaces what is not fit to
	// be printed; in the scope, that is a Problem.
	Path  string `json:"path"`
	Scope string `json:"scope"`
	// GroupNumber is the number of a cluster out of Groups, 0 being the
	// coordinator, and -1 in all other clusters, also in one that was decoded by
	// the path of its group.
	GroupNumber int `json:"-"`

	// SystemID identifies the database; 19 digits, more than a float holds.
	// Empty while the cluster bootstraps.
	SystemID string `json:"system_id"`

	// LeaderName is the name in the leader key, made fit to be printed. Leader is
	// that member, nil if it is missing or cannot be used (Patroni:
	// dcs/etcd3.py _cluster_from_nodes).
	LeaderName string  `json:"leader_name"`
	Leader     *Member `json:"-"`
	// Primary is the leader unless the cluster is a standby cluster. Like
	// Patroni's /primary it follows the lock at once, a moment before PostgreSQL
	// accepts writes; see Promoted. It is nil in a Citus scope, whose groups have
	// one each: writes of applications go to that of Group 0.
	Primary *Member `json:"-"`
	// StandbyLeader is the leader if the cluster is a standby cluster.
	StandbyLeader *Member `json:"-"`

	// Members are all members, also those that cannot be used.
	Members []*Member `json:"members"`
	// Replicas are the usable members that run with role replica and do not hold
	// the lock. A node that is demoted, being cloned or has just been promoted by
	// hand is none.
	Replicas []*Member `json:"-"`
	// The lists that the REST API answers for (Patroni: api.py do_GET): Readers,
	// /replica without a limit for the lag, are the replicas without the tag
	// noloadbalance. The sync key names SyncStandbys, /sync, or QuorumVoters,
	// /quorum, as SyncMode says; promoting one loses no transaction, but it may
	// not have replayed them all yet. AsyncReaders, /async, are the other
	// readers.
	Readers      []*Member `json:"-"`
	SyncStandbys []*Member `json:"-"`
	QuorumVoters []*Member `json:"-"`
	AsyncReaders []*Member `json:"-"`

	// SyncMode is "off", "on" or "quorum". It is off in a standby cluster,
	// whatever its configuration says (Patroni: global_config.py
	// is_synchronous_mode, is_quorum_commit_mode).
	SyncMode string `json:"sync_mode"`
	// SyncLeader is the primary that wrote the sync key; after a failover the
	// old one, for a few cycles. Quorum is how many other voters a candidate has
	// to see. They are empty and 0 while SyncMode is off.
	SyncLeader string `json:"sync_leader"`
	Quorum     int64  `json:"quorum"`

	// Paused tells whether Patroni manages the cluster at all. Stopping Patroni
	// on a paused primary makes its keys expire although PostgreSQL serves on.
	Paused bool `json:"paused"`
	// Failsafe tells whether failsafe mode is on, in which a primary that loses
	// the store goes on as long as all of FailsafeMembers answer it. These are
	// the URLs of the REST APIs by member name, empty while the mode is off.
	Failsafe        bool              `json:"failsafe"`
	FailsafeMembers map[string]string `json:"failsafe_members"`
	// StandbyCluster tells whether the cluster follows another one (Patroni:
	// global_config.py is_standby_cluster).
	StandbyCluster bool `json:"standby_cluster"`
	// MaxLagOnFailover is the configured maximum_lag_on_failover, by default
	// 1 MiB.
	MaxLagOnFailover Bytes `json:"max_lag_on_failover"`

	// Timeline is the leader's own: a cluster that was demoted to a standby
	// cluster keeps its history and follows another timeline. Where nobody leads,
	// it follows from History, and is else 0 (Patroni: dcs/__init__.py
	// Cluster.timeline).
	Timeline int64       `json:"timeline"`
	History  []Promotion `json:"history"`
	// Optime is the leader's position in the WAL in bytes, 0 if unknown.
	Optime int64 `json:"optime"`
	// Failover is a switchover or failover that was asked for, or nil.
	Failover *Failover `json:"failover"`

	// Groups are the clusters of a Citus scope, sorted by number.
	Groups []*Cluster `json:"groups"`

	// Problem says why nothing of the cluster can be used, or is empty.
	Problem string `json:"problem"`

	leaderKey  string
	hasLeased  bool // there is a leader or member key: Patroni runs at this path
	configText string
}

// Decode returns the cluster whose keys are given, relative to path and without
// a leading slash: "leader", "members/db1", and "0/leader" in a Citus scope. It
// never fails: like Patroni, it treats values that make no sense as missing.
//
// A path with children such as "0/" and "1/" that are clusters is a Citus scope.
// Plain keys that a conversion to Citus has left behind are ignored there.
func Decode(path string, keys map[string]string) *Cluster {
	groups, plain := splitGroups(keys)
	path = strings.TrimRight(path, "/")
	scope := path[strings.LastIndexByte(path, '/')+1:]
	c := decodePlain(path, scope, plain)
	if len(groups) == 0 {
		return c
	}
	if !c.hasLeased {
		c = decodePlain(path, scope, nil)
	}
	for _, number := range slices.Sorted(maps.Keys(groups)) {
		group := decodePlain(path+"/"+strconv.Itoa(number), scope, groups[number])
		group.GroupNumber = number
		c.Groups = append(c.Groups, group)
	}
	return c
}

// Citus tells whether the cluster is the parent of Citus groups and has no
// members of its own: use Group 0, or decode the path of the group.
func (c *Cluster) Citus() bool { return len(c.Groups) > 0 && !c.hasLeased }

// Group returns the Citus group with the given number, or nil if there is none.
func (c *Cluster) Group(number int) *Cluster {
	for _, group := range c.Groups {
		if group.GroupNumber == number {
			return group
		}
	}
	return nil
}

// Parts returns the groups of a Citus cluster, and of any other cluster the
// cluster itself: those that have members.
func (c *Cluster) Parts() []*Cluster {
	if c.Citus() {
		return c.Groups
	}
	return []*Cluster{c}
}

// Member returns the member with the given name, or nil if there is none.
func (c *Cluster) Member(name string) *Member {
	for _, m := range c.Members {
		if m.key == name {
			return m
		}
	}
	return nil
}

// Promoted returns the primary once its promotion is complete, else nil: see
// Member.Promoted.
func (c *Cluster) Promoted() *Member {
	if c.Primary == nil || !c.Primary.Promoted {
		return nil
	}
	return c.Primary
}

// Config returns the dynamic configuration as it is stored, unchecked, with
// numbers as json.Number; it may hold secrets. It is empty if the key is missing
// or no object. The map is the caller's to change.
func (c *Cluster) Config() map[string]any { return decodeObject(c.configText) }

// String returns the scope.
func (c *Cluster) String() string {
	if c == nil {
		return ""
	}
	return c.Scope
}

// maxMembers is how many members a cluster can have: many more than any has, and
// few enough to be rendered in a second, whoever may write its keys.
const maxMembers = 5000

// decodePlain decodes the keys of one cluster, without groups.
func decodePlain(path, scope string, keys map[string]string) *Cluster {
	c := &Cluster{Path: cmp.Or(replaceUnsafe(path, "/"), "/"), Scope: safeName(scope), GroupNumber: -1, SyncMode: SyncOff,
		Members: []*Member{}, Groups: []*Cluster{}, History: []Promotion{}}
	if scope != "" {
		if problem := nameProblem(scope); problem != "" {
			c.Problem = "the scope " + problem
		} else if strings.Contains(scope, " ") {
			c.Problem = "the scope holds a space"
		}
	}
	members, printed := map[string]string{}, map[string]int{}
	for key, text := range keys {
		// A member key has exactly one slash (Patroni: dcs/etcd3.py _cluster_from_nodes).
		if name, ok := strings.CutPrefix(key, "members/"); ok && !strings.Contains(name, "/") {
			members[name] = text
			printed[safeName(name)]++
		}
	}
	c.leaderKey = strings.TrimSpace(keys["leader"])
	c.LeaderName = safeName(c.leaderKey)
	c.hasLeased = len(members) > 0 || c.leaderKey != ""
	if len(members) > maxMembers {
		c.Problem = fmt.Sprintf("it has %d member keys, and of more than %d none is read", len(members), maxMembers)
		clear(members)
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		problem := c.Problem
		// A proxy could not tell the two apart.
		if problem == "" && strings.Contains(name, " ") && printed[safeName(name)] > 1 {
			problem = "the name is printed as that of another member"
		}
		m := decodeMember(name, members[name], problem)
		m.cluster = c
		c.Members = append(c.Members, m)
	}

	c.SystemID = safeToken(keys["initialize"], "-")
	if hasConfig := c.setConfig(keys["config"]); !hasConfig {
		// Patroni goes on with the configuration that it remembers, and so does
		// what the leader says that it is.
		leader := c.Member(c.leaderKey)
		c.StandbyCluster = leader != nil && leader.Role == RoleStandbyLeader
	}
	c.Optime = optime(keys)
	c.setHistory(keys["history"])
	c.Failover = parseFailover(keys["failover"])
	c.FailsafeMembers = failsafeMembers(c.Failsafe, keys["failsafe"])
	c.join(parseSync(c.SyncMode, keys["sync"]))
	return c
}

// join sets what follows from several keys together.
func (c *Cluster) join(s syncState) {
	c.SyncLeader, c.Quorum = safeName(s.leader), s.quorum
	for _, m := range c.Members {
		m.IsLeader = c.leaderKey != "" && m.key == c.leaderKey
		// PostgreSQL does not look at case here, and neither does Patroni.
		m.InSync = slices.Contains(s.standby, strings.ToLower(m.key))
		m.setLags(c.Optime)
		if m.IsLeader {
			m.Promoted = m.Usable() && !c.StandbyCluster && m.Role == RolePrimary && m.Running
			if m.Timeline > 0 {
				c.Timeline = m.Timeline
			}
		}
		if !m.Usable() {
			continue
		}
		if m.IsLeader {
			c.Leader = m
			continue
		}
		if m.Role != RoleReplica || !m.Running {
			continue
		}
		c.Replicas = append(c.Replicas, m)
		if m.NoLoadBalance {
			continue
		}
		c.Readers = append(c.Readers, m)
		switch {
		case !m.InSync:
			c.AsyncReaders = append(c.AsyncReaders, m)
		case c.SyncMode == SyncQuorum:
			c.QuorumVoters = append(c.QuorumVoters, m)
		default:
			c.SyncStandbys = append(c.SyncStandbys, m)
		}
	}
	if c.StandbyCluster {
		c.StandbyLeader = c.Leader
	} else {
		c.Primary = c.Leader
	}
}
