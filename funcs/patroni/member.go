package patroni

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// The roles that a member may report of itself, and the one state that matters
// (Patroni: postgresql/misc.py PostgresqlRole and PostgresqlState).
const (
	RolePrimary       = "primary"
	RoleReplica       = "replica"
	RoleStandbyLeader = "standby_leader"
	RoleUninitialized = "uninitialized"
	RoleDemoted       = "demoted"
	RolePromoted      = "promoted"

	StateRunning = "running"

	// Streaming is the ReplicationState of a replica that follows live.
	Streaming = "streaming"
)

// defaultPort is PostgreSQL's, for URLs without a port (Patroni:
// dcs/__init__.py Member.conn_kwargs).
const defaultPort = 5432

// A Member is one node of a cluster as its own key describes it, at most one
// cycle of Patroni ago if it is alive.
//
// Where Problem is not empty, every address is empty and every port 0.
type Member struct {
	// Name is the member's name with an underscore for each space and, in a
	// member whose Problem is its name, a question mark for what is not fit to
	// be printed.
	Name string `json:"name"`

	// Host, Port (by default 5432) and Addr ("host:port", IPv6 in brackets) say
	// where PostgreSQL listens. Of several hosts these are the first one; Addrs
	// has them all.
	Host  string   `json:"host"`
	Port  int      `json:"port"`
	Addr  string   `json:"addr"`
	Addrs []string `json:"addrs"`

	// ConnURL is the connection URL with scheme, hosts, port and the database
	// that Patroni itself uses, odd characters percent-encoded. User, password
	// and query, which Patroni wrote before 1.0, are left out.
	ConnURL string `json:"conn_url"`

	// The address of the connection pooler beside PostgreSQL
	// (postgresql.proxy_address), or empty.
	ProxyURL  string `json:"proxy_url"`
	ProxyHost string `json:"proxy_host"`
	ProxyPort int    `json:"proxy_port"`
	ProxyAddr string `json:"proxy_addr"`

	// The address of Patroni's REST API, empty if the member announces none that
	// is http or https: such a member cannot be checked, and Patroni passes it
	// over in elections. A URL without a port means 80 or 443.
	APIURL    string `json:"api_url"`
	APIScheme string `json:"api_scheme"`
	APIHost   string `json:"api_host"`
	APIPort   int    `json:"api_port"`
	APIAddr   string `json:"api_addr"`

	// Role is what the local PostgreSQL is, as opposed to who holds the lock:
	// the two disagree for seconds to minutes around every change. "master",
	// which Patroni wrote up to 3.3, reads as "primary". State is "running" or
	// another of Patroni's words. Both are "unknown" if absent.
	Role  string `json:"role"`
	State string `json:"state"`
	// Version is that of Patroni, not of PostgreSQL.
	Version string `json:"version"`
	// Timeline is 0 if the member does not know it.
	Timeline int64 `json:"timeline"`
	// ReplicationState is "streaming", "in archive recovery", or empty
	// (Patroni 3.0.4 and later, replicas only).
	ReplicationState string `json:"replication_state"`

	// Running tells whether State is "running".
	Running bool `json:"running"`
	// IsLeader tells whether the member holds the lock.
	IsLeader bool `json:"is_leader"`
	// Promoted tells a leader that has finished its promotion from one that has
	// just taken the lock: role primary, and running. Patroni sends writes only
	// to such a node (Patroni: postgresql/mpp/citus.py sync_meta_data). A standby
	// leader is never promoted.
	Promoted bool `json:"promoted"`
	// InSync tells whether the sync key names the member as a standby while
	// synchronous replication is on, whatever its state (Patroni:
	// dcs/__init__.py SyncState.matches).
	InSync bool `json:"in_sync"`

	// XLogLocation, ReceiveLSN and ReplayLSN are positions in the WAL in bytes,
	// 0 if unknown. The latter two exist since Patroni 4.1; XLogLocation is, on
	// a replica, the larger of what is received and what is replayed.
	XLogLocation int64 `json:"xlog_location"`
	ReceiveLSN   int64 `json:"receive_lsn"`
	ReplayLSN    int64 `json:"replay_lsn"`

	// Lag is ReplayLag, which needs Patroni 4.1, or else ReceiveLag, a lower
	// bound of it. They are 0 for the leader, and Unknown where a position is
	// missing. The two positions are sampled seconds apart: a lag wobbles by what
	// is written in a cycle, and means nothing while there is no leader (Patroni:
	// utils.py cluster_as_json).
	Lag        Bytes `json:"lag"`
	ReceiveLag Bytes `json:"receive_lag"`
	ReplayLag  Bytes `json:"replay_lag"`

	// The tags that Patroni itself knows, as it reads them (Patroni: tags.py
	// Tags): any string, "false" too, makes noloadbalance true.
	NoFailover       bool   `json:"no_failover"`
	NoLoadBalance    bool   `json:"no_load_balance"`
	NoSync           bool   `json:"no_sync"`
	NoStream         bool   `json:"no_stream"`
	CloneFrom        bool   `json:"clone_from"`
	ReplicateFrom    string `json:"replicate_from"`
	FailoverPriority int64  `json:"failover_priority"`
	SyncPriority     int64  `json:"sync_priority"`

	// PendingRestart tells whether PostgreSQL waits to be restarted, and
	// PendingRestartReason because of which settings (Patroni 3.3 and later).
	PendingRestart       bool            `json:"pending_restart"`
	PendingRestartReason []SettingChange `json:"pending_restart_reason"`
	// ScheduledRestart is the time of a planned restart in ISO 8601, or empty.
	ScheduledRestart string `json:"scheduled_restart"`
	// Pause tells whether the node has noticed that the cluster is paused; the
	// pause itself is Cluster.Paused.
	Pause bool `json:"pause"`

	// Problem says why the member cannot be used, or is empty. It quotes no part
	// of the value of a key.
	Problem string `json:"problem"`
	// Warning says what is probably wrong although the member can be used, or is
	// empty.
	Warning string `json:"warning"`

	cluster  *Cluster
	key      string // the name as it is in the key, for comparisons
	text     string // the value of the key
	tags     value
	upstream string // the name in the tag replicatefrom
}

// decodeMember returns the member with the given name and value, which cannot
// be used if the rest of the cluster is a problem. What else depends on that is
// set by Cluster.join.
func decodeMember(name, text, problem string) *Member {
	m := &Member{
		Problem:          problem,
		Name:             safeName(name),
		Role:             unknown,
		State:            unknown,
		Lag:              Unknown,
		ReceiveLag:       Unknown,
		ReplayLag:        Unknown,
		Addrs:            []string{},
		FailoverPriority: 1,
		SyncPriority:     1,

		PendingRestartReason: []SettingChange{},
		key:                  name,
		text:                 text,
	}
	if problem := nameProblem(name); problem != "" {
		m.problem("the name %s", problem)
	}
	// Before 1.0 the value was the connection URL itself.
	if strings.HasPrefix(text, "postgres") {
		connURL, apiURL := splitLegacyURL(text)
		m.setAddresses(connURL, apiURL, "")
		return m
	}
	// Patroni: dcs/__init__.py Member.from_node.
	f := value(text).fields()
	if f == nil {
		m.problem("the value is not a JSON object")
		return m
	}
	m.setAddresses(f["conn_url"].text(), f["api_url"].text(), f["proxy_url"].text())
	m.setStatus(f)
	m.setTags(f["tags"])
	return m
}

// problem makes m unusable.
func (m *Member) problem(format string, args ...any) {
	if m.Problem == "" {
		m.Problem = fmt.Sprintf(format, args...)
	}
}

func (m *Member) setStatus(f map[string]value) {
	m.Role = safeWords(f["role"].text())
	if m.Role == "master" {
		m.Role = RolePrimary
	}
	m.State = safeWords(f["state"].text())
	m.Running = m.State == StateRunning
	m.Version = safeToken(f["version"].text(), ".-+_")
	if state := f["replication_state"].text(); state != "" {
		m.ReplicationState = safeWords(state)
	}
	m.Timeline = f["timeline"].position()
	m.XLogLocation = f["xlog_location"].position()
	m.ReceiveLSN = f["receive_lsn"].position()
	m.ReplayLSN = f["replay_lsn"].position()
	m.Pause = f["pause"].truthy()
	m.PendingRestart = f["pending_restart"].truthy()
	m.PendingRestartReason = settingChanges(f["pending_restart_reason"])
	m.ScheduledRestart = safeToken(f["scheduled_restart"].fields()["schedule"].text(), "+-:. ")
}

// setAddresses sets all addresses, or none of them and the Problem if one of
// the URLs is broken: a member with one bad URL is not trusted with the others.
func (m *Member) setAddresses(connURL, apiURL, proxyURL string) {
	parse := func(field, raw string) endpoint {
		e, err := parseEndpoint(raw)
		if err != nil {
			m.problem("%s %v", field, err)
		}
		return e
	}
	conn, api, proxy := parse("conn_url", connURL), parse("api_url", apiURL), parse("proxy_url", proxyURL)
	if len(conn.addrs) == 0 {
		m.problem("conn_url is missing or names no host")
	}
	if m.Problem != "" {
		return
	}
	m.ConnURL = conn.uri("postgres")
	m.Host, m.Port, m.Addr = conn.addrs[0].parts(defaultPort)
	for _, address := range conn.addrs {
		_, _, addr := address.parts(defaultPort)
		m.Addrs = append(m.Addrs, addr)
	}
	if m.Host == "localhost" {
		m.Warning = "conn_url names localhost, which is another host for everybody else; set postgresql.connect_address"
	}
	if len(proxy.addrs) > 0 {
		m.ProxyURL = proxy.uri("postgres")
		m.ProxyHost, m.ProxyPort, m.ProxyAddr = proxy.addrs[0].parts(defaultPort)
	}
	if api.isHTTP() {
		m.APIURL, m.APIScheme = api.uri(api.scheme), api.scheme
		m.APIHost, m.APIPort, m.APIAddr = api.addrs[0].parts(httpPorts[api.scheme])
	}
}

// splitLegacyURL returns the connection URL and the URL of the REST API that
// is hidden in its application_name (Patroni: dcs/__init__.py
// parse_connection_string).
func splitLegacyURL(text string) (connURL, apiURL string) {
	text, _, _ = strings.Cut(text, "#")
	connURL, query, _ := strings.Cut(text, "?")
	// What is wrong in one part of the query leaves the other parts valid.
	values, _ := url.ParseQuery(query)
	return connURL, values.Get("application_name")
}

// Usable tells whether the member has an address and no Problem.
func (m *Member) Usable() bool { return m.Problem == "" }

// Raw returns the object that the member key holds, with numbers as
// json.Number, for what has no field here. It is unchecked and may hold anything,
// newlines and quotes too. It is empty if the value is no object. The map is the
// caller's to change.
func (m *Member) Raw() map[string]any { return decodeObject(m.text) }

// String returns the name, so that a member that is printed as a whole prints
// nothing unchecked.
func (m *Member) String() string {
	if m == nil {
		return ""
	}
	return m.Name
}

// A SettingChange is a setting of PostgreSQL that takes effect at the next
// restart. The values are free text that can be printed.
type SettingChange struct {
	Name     string `json:"name"`
	OldValue string `json:"old_value"`
	NewValue string `json:"new_value"`
}

// settingChanges returns the reasons for a restart, sorted by name; what cannot
// be printed is left out (Patroni: postgresql/config.py get_param_diff).
func settingChanges(v value) []SettingChange {
	changes := []SettingChange{}
	for name, change := range v.fields() {
		fields := change.fields()
		c := SettingChange{name, fields["old_value"].form(), fields["new_value"].form()}
		if isPrintable(c.Name) && isPrintable(c.OldValue) && isPrintable(c.NewValue) {
			changes = append(changes, c)
		}
	}
	slices.SortFunc(changes, func(a, b SettingChange) int { return strings.Compare(a.Name, b.Name) })
	return changes
}
