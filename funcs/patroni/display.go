package patroni

import "encoding/json"

// DisplayRole returns the role that "patronictl list" shows: leader,
// standby_leader, sync_standby, quorum_standby or replica. It follows from the
// leader and sync keys and never from what the member says of itself, so that
// a node that is demoted, being cloned or promoted by hand shows as replica
// (Patroni: utils.py cluster_as_json).
func (m *Member) DisplayRole() string {
	switch c := m.cluster; {
	case m.IsLeader && c != nil && c.StandbyCluster:
		return RoleStandbyLeader
	case m.IsLeader:
		return "leader"
	case m.InSync && c != nil && c.SyncMode == SyncQuorum:
		return "quorum_standby"
	case m.InSync:
		return "sync_standby"
	}
	return RoleReplica
}

// DisplayState returns the state that "patronictl list" shows: the state of
// replication where there is one, except for a leader, else State (Patroni:
// utils.py cluster_as_json).
func (m *Member) DisplayState() string {
	if m.ReplicationState != "" && m.DisplayRole() != "leader" {
		return m.ReplicationState
	}
	return m.State
}

// Upstream returns the member that m should replicate from: the one that its
// tag replicatefrom names if that is another replica, else the leader. It is
// nil for the leader, and where neither is there (Patroni: ctl.py
// topology_sort).
func (m *Member) Upstream() *Member {
	c := m.cluster
	if c == nil || m.IsLeader {
		return nil
	}
	if m.ReplicateFrom != "" && m.ReplicateFrom != m.key {
		if parent := c.Member(m.ReplicateFrom); parent != nil && parent.Usable() {
			return parent
		}
	}
	return c.Leader
}

// clusterJSON is the form of a cluster for programs. Its names are a promise:
// they may become more, and none is taken away.
type clusterJSON struct {
	Path             string            `json:"path"`
	Scope            string            `json:"scope"`
	Group            *int              `json:"group"`
	Problem          string            `json:"problem"`
	SystemID         string            `json:"system_id"`
	LeaderName       string            `json:"leader_name"`
	Leader           *string           `json:"leader"`
	Primary          *string           `json:"primary"`
	Promoted         *string           `json:"promoted"`
	StandbyLeader    *string           `json:"standby_leader"`
	Replicas         []string          `json:"replicas"`
	Readers          []string          `json:"readers"`
	SyncMode         string            `json:"sync_mode"`
	SyncLeader       string            `json:"sync_leader"`
	SyncStandbys     []string          `json:"sync_standbys"`
	QuorumVoters     []string          `json:"quorum_voters"`
	Quorum           int64             `json:"quorum"`
	Paused           bool              `json:"paused"`
	Failsafe         bool              `json:"failsafe"`
	FailsafeMembers  map[string]string `json:"failsafe_members"`
	StandbyCluster   bool              `json:"standby_cluster"`
	Citus            bool              `json:"citus"`
	MaxLagOnFailover Bytes             `json:"max_lag_on_failover"`
	Timeline         int64             `json:"timeline"`
	Optime           int64             `json:"optime"`
	History          []Promotion       `json:"history"`
	Failover         *Failover         `json:"failover"`
	Members          []*Member         `json:"members"`
	Groups           []*Cluster        `json:"groups"`
}

// MarshalJSON writes the cluster for programs: members in full, and by name
// wherever else they occur. What is unchecked, Config and Member.Raw, is not in
// it, the former because it may hold secrets.
func (c *Cluster) MarshalJSON() ([]byte, error) {
	j := clusterJSON{
		Path: c.Path, Scope: c.Scope, Problem: c.Problem, SystemID: c.SystemID,
		LeaderName: c.LeaderName, Leader: optionalName(c.Leader), Primary: optionalName(c.Primary),
		Promoted: optionalName(c.Promoted()), StandbyLeader: optionalName(c.StandbyLeader),
		Replicas: names(c.Replicas), Readers: names(c.Readers),
		SyncMode: c.SyncMode, SyncLeader: c.SyncLeader, SyncStandbys: names(c.SyncStandbys),
		QuorumVoters: names(c.QuorumVoters), Quorum: c.Quorum,
		Paused: c.Paused, Failsafe: c.Failsafe, FailsafeMembers: c.FailsafeMembers,
		StandbyCluster: c.StandbyCluster, Citus: c.Citus(), MaxLagOnFailover: c.MaxLagOnFailover,
		Timeline: c.Timeline, Optime: c.Optime, History: c.History, Failover: c.Failover,
		Members: c.Members, Groups: c.Groups,
	}
	if c.GroupNumber >= 0 {
		j.Group = &c.GroupNumber
	}
	if j.FailsafeMembers == nil {
		j.FailsafeMembers = map[string]string{}
	}
	j.History = notNil(j.History)
	j.Members = notNil(j.Members)
	j.Groups = notNil(j.Groups)
	return json.Marshal(j)
}

// memberJSON is the form of a member for programs, with the same promise.
type memberJSON struct {
	Name                 string          `json:"name"`
	Problem              string          `json:"problem"`
	Host                 string          `json:"host"`
	Port                 int             `json:"port"`
	Addr                 string          `json:"addr"`
	Addrs                []string        `json:"addrs"`
	ConnURL              string          `json:"conn_url"`
	ProxyURL             string          `json:"proxy_url"`
	ProxyHost            string          `json:"proxy_host"`
	ProxyPort            int             `json:"proxy_port"`
	ProxyAddr            string          `json:"proxy_addr"`
	APIURL               string          `json:"api_url"`
	APIScheme            string          `json:"api_scheme"`
	APIHost              string          `json:"api_host"`
	APIPort              int             `json:"api_port"`
	APIAddr              string          `json:"api_addr"`
	Role                 string          `json:"role"`
	State                string          `json:"state"`
	DisplayRole          string          `json:"display_role"`
	DisplayState         string          `json:"display_state"`
	ReplicationState     string          `json:"replication_state"`
	Version              string          `json:"version"`
	Timeline             int64           `json:"timeline"`
	Running              bool            `json:"running"`
	IsLeader             bool            `json:"is_leader"`
	Promoted             bool            `json:"promoted"`
	InSync               bool            `json:"in_sync"`
	XLogLocation         int64           `json:"xlog_location"`
	ReceiveLSN           int64           `json:"receive_lsn"`
	ReplayLSN            int64           `json:"replay_lsn"`
	Lag                  Bytes           `json:"lag"`
	ReceiveLag           Bytes           `json:"receive_lag"`
	ReplayLag            Bytes           `json:"replay_lag"`
	NoFailover           bool            `json:"no_failover"`
	NoLoadBalance        bool            `json:"no_load_balance"`
	NoSync               bool            `json:"no_sync"`
	NoStream             bool            `json:"no_stream"`
	CloneFrom            bool            `json:"clone_from"`
	ReplicateFrom        string          `json:"replicate_from"`
	Upstream             *string         `json:"upstream"`
	FailoverPriority     int64           `json:"failover_priority"`
	SyncPriority         int64           `json:"sync_priority"`
	Tags                 map[string]any  `json:"tags"`
	PendingRestart       bool            `json:"pending_restart"`
	PendingRestartReason []SettingChange `json:"pending_restart_reason"`
	ScheduledRestart     string          `json:"scheduled_restart"`
	Pause                bool            `json:"pause"`
}

// MarshalJSON writes the member for programs.
func (m *Member) MarshalJSON() ([]byte, error) {
	j := memberJSON{
		Name: m.Name, Problem: m.Problem, Host: m.Host, Port: m.Port, Addr: m.Addr, Addrs: notNil(m.Addrs), ConnURL: m.ConnURL,
		ProxyURL: m.ProxyURL, ProxyHost: m.ProxyHost, ProxyPort: m.ProxyPort, ProxyAddr: m.ProxyAddr,
		APIURL: m.APIURL, APIScheme: m.APIScheme, APIHost: m.APIHost, APIPort: m.APIPort, APIAddr: m.APIAddr,
		Role: m.Role, State: m.State, DisplayRole: m.DisplayRole(), DisplayState: m.DisplayState(),
		ReplicationState: m.ReplicationState, Version: m.Version, Timeline: m.Timeline,
		Running: m.Running, IsLeader: m.IsLeader, Promoted: m.Promoted, InSync: m.InSync,
		XLogLocation: m.XLogLocation, ReceiveLSN: m.ReceiveLSN, ReplayLSN: m.ReplayLSN,
		Lag: m.Lag, ReceiveLag: m.ReceiveLag, ReplayLag: m.ReplayLag,
		NoFailover: m.NoFailover, NoLoadBalance: m.NoLoadBalance, NoSync: m.NoSync, NoStream: m.NoStream,
		CloneFrom: m.CloneFrom, ReplicateFrom: m.ReplicateFrom, Upstream: optionalName(m.Upstream()),
		FailoverPriority: m.FailoverPriority, SyncPriority: m.SyncPriority, Tags: m.Tags,
		PendingRestart: m.PendingRestart, PendingRestartReason: notNil(m.PendingRestartReason),
		ScheduledRestart: m.ScheduledRestart, Pause: m.Pause,
	}
	if j.Tags == nil {
		j.Tags = map[string]any{}
	}
	return json.Marshal(j)
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

func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
