package patroni

import "slices"

// setTags sets the tags and what Patroni derives from its own ones (Patroni:
// tags.py Tags).
func (m *Member) setTags(tags value) {
	m.tags = tags
	tag := tags.fields()
	m.NoLoadBalance = tag["noloadbalance"].truthy()
	m.NoStream = tag["nostream"].isTrue()
	// Nothing can be cloned from a node without a connection URL (Patroni:
	// dcs/__init__.py Member.clonefrom).
	m.CloneFrom = tag["clonefrom"].truthy() && m.Usable()
	m.upstream, _ = tag["replicatefrom"].text()
	if nameProblem(m.upstream) == "" {
		m.ReplicateFrom = safeName(m.upstream)
	}
	m.NoFailover, m.FailoverPriority = priority(tag["nofailover"], tag["failover_priority"])
	m.NoSync, m.SyncPriority = priority(tag["nosync"], tag["sync_priority"])
}

// priority returns what a pair of tags such as nofailover and
// failover_priority mean together: the former wins if it is there, else a
// priority of 0 or less excludes the node (Patroni: tags.py Tags.nofailover and
// Tags.failover_priority).
func priority(excluded, rank value) (bool, int64) {
	n, ok := rank.integer()
	if !ok {
		n = 1
	}
	if excluded.isNull() {
		return n <= 0, n
	}
	if excluded.truthy() {
		return true, 0
	}
	return false, n
}

// isPrintableTree tells whether all strings in a decoded value are printable.
func isPrintableTree(tree any) bool {
	switch tree := tree.(type) {
	case string:
		return isPrintable(tree)
	case []any:
		return !slices.ContainsFunc(tree, func(item any) bool { return !isPrintableTree(item) })
	case map[string]any:
		for name, item := range tree {
			if !isPrintable(name) || !isPrintableTree(item) {
				return false
			}
		}
	}
	return true
}
