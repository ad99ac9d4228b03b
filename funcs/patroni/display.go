package patroni

// DisplayRole returns the role that "patronictl list" prints: Leader, Standby
// Leader, Sync Standby, Quorum Standby or Replica, whatever the member says of
// itself (Patroni: utils.py cluster_as_json, ctl.py output_members).
func (m *Member) DisplayRole() string {
	switch {
	case m.IsLeader && m.cluster.StandbyCluster:
		return "Standby Leader"
	case m.IsLeader:
		return "Leader"
	case m.InSync && m.cluster.SyncMode == SyncQuorum:
		return "Quorum Standby"
	case m.InSync:
		return "Sync Standby"
	}
	return "Replica"
}

// DisplayState returns the state that "patronictl list" prints: the state of
// replication where there is one, except for a leader, else State (Patroni:
// utils.py cluster_as_json).
func (m *Member) DisplayState() string {
	if m.ReplicationState != "" && m.DisplayRole() != "Leader" {
		return m.ReplicationState
	}
	return m.State
}

// Upstream returns the member that m should stream from: the one that its tag
// replicatefrom names if that is another usable member, else the leader. It is
// nil for the leader, where neither is there, and with the tag nostream
// (Patroni: ctl.py topology_sort, tags.py Tags.nostream).
func (m *Member) Upstream() *Member {
	if m.IsLeader || m.NoStream {
		return nil
	}
	if parent := m.cluster.Member(m.upstream); parent != nil && parent != m && parent.Usable() {
		return parent
	}
	return m.cluster.Leader
}
