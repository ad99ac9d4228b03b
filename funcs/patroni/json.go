package patroni

import "encoding/json"

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
