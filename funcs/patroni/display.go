package patroni

import "encoding/json"

// DisplayRole returns the role that "patronictl list" prints: Leader, Standby
// Leader, Sync Standby, Quorum Standby or Replica. It follows from the leader
// and sync keys and never from what the member says of itself, so that a node
// that is demoted, being cloned or promoted by hand shows as Replica (Patroni:
// utils.py cluster_as_json, ctl.py output_members).
func (m *Member) DisplayRole() string {
	switch c := m.cluster; {
	case m.IsLeader && c != nil && c.StandbyCluster:
		return "Standby Leader"
	case m.IsLeader:
		return "Leader"
	case m.InSync && c != nil && c.SyncMode == SyncQuorum:
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
// nil for the leader, where neither is there, and for a member with the tag
// nostream, which takes its WAL from the archive (Patroni: ctl.py
// topology_sort, tags.py Tags.nostream).
func (m *Member) Upstream() *Member {
	c := m.cluster
	if c == nil || m.IsLeader || m.NoStream {
		return nil
	}
	if parent := c.Member(m.upstream); parent != nil && parent != m && parent.Usable() {
		return parent
	}
	return c.Leader
}

// MarshalJSON writes the cluster for programs: members in full, and by name
// wherever else they occur. Fields may be added, never removed. What is
// unchecked, Config and Member.Raw, is not in it; Config may hold secrets.
func (c *Cluster) MarshalJSON() ([]byte, error) {
	type fields Cluster
	var group *int
	if c.GroupNumber >= 0 {
		group = &c.GroupNumber
	}
	return json.Marshal(struct {
		*fields
		Group         *int     `json:"group"`
		Citus         bool     `json:"citus"`
		Leader        *string  `json:"leader"`
		Primary       *string  `json:"primary"`
		Promoted      *string  `json:"promoted"`
		StandbyLeader *string  `json:"standby_leader"`
		Replicas      []string `json:"replicas"`
		Readers       []string `json:"readers"`
		SyncStandbys  []string `json:"sync_standbys"`
		QuorumVoters  []string `json:"quorum_voters"`
		AsyncReaders  []string `json:"async_readers"`
	}{
		(*fields)(c), group, c.Citus(), optionalName(c.Leader), optionalName(c.Primary), optionalName(c.Promoted()),
		optionalName(c.StandbyLeader), names(c.Replicas), names(c.Readers), names(c.SyncStandbys), names(c.QuorumVoters), names(c.AsyncReaders),
	})
}

// MarshalJSON writes the member for programs. Fields may be added, never
// removed.
func (m *Member) MarshalJSON() ([]byte, error) {
	type fields Member
	return json.Marshal(struct {
		*fields
		DisplayRole  string         `json:"display_role"`
		DisplayState string         `json:"display_state"`
		Upstream     *string        `json:"upstream"`
		Tags         map[string]any `json:"tags"`
	}{(*fields)(m), m.DisplayRole(), m.DisplayState(), optionalName(m.Upstream()), m.Tags()})
}

func optionalName(m *Member) *string {
	if m == nil {
		return nil
	}
	return &m.Name
}

func names(list []*Member) []string {
	names := make([]string, len(list))
	for i, m := range list {
		names[i] = m.Name
	}
	return names
}
