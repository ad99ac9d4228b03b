package patroni

import "strings"

// This file decodes the keys of a cluster other than those of its members.

// setConfig sets what the dynamic configuration says, and tells whether there
// is one (Patroni: global_config.py GlobalConfig).
func (c *Cluster) setConfig(text string) (ok bool) {
	c.MaxLagOnFailover = 1 << 20
	c.configText = text
	config := value(text).fields()
	if config == nil {
		return false
	}
	c.Paused = config["pause"].isTrue()
	c.Failsafe = config["failsafe_mode"].isTrue()
	standby := config["standby_cluster"].fields()
	c.StandbyCluster = standby["host"].truthy() || standby["port"].truthy() || standby["restore_command"].truthy()
	switch mode := config["synchronous_mode"]; {
	case c.StandbyCluster:
	case mode.isTrue():
		c.SyncMode = SyncOn
	case strings.EqualFold(mode.text(), SyncQuorum):
		c.SyncMode = SyncQuorum
	}
	if n, ok := config["maximum_lag_on_failover"].integer(); ok {
		c.MaxLagOnFailover = Bytes(n)
	}
	return true
}

// A Promotion is one line of a cluster's history: the end of a timeline.
type Promotion struct {
	// Timeline is the one that ended, at the position LSN in bytes.
	Timeline int64 `json:"timeline"`
	LSN      int64 `json:"lsn"`
	// Reason is PostgreSQL's, such as "no recovery target specified": free text
	// that can be printed.
	Reason string `json:"reason"`
	// Time is in ISO 8601, or empty.
	Time string `json:"time"`
	// Leader is the new one; empty before Patroni 2.1.1.
	Leader string `json:"leader"`
}

// setHistory sets History and Timeline (Patroni: dcs/__init__.py
// TimelineHistory.from_node and Cluster.timeline).
func (c *Cluster) setHistory(text string) {
	lines := value(text).items()
	if lines != nil && len(lines) == 0 {
		c.Timeline = 1
	}
	for i, line := range lines {
		fields := append(line.items(), "", "", "", "", "") // The last ones may be missing.
		timeline := fields[0].position()
		if timeline == 0 {
			continue
		}
		if i == len(lines)-1 {
			c.Timeline = timeline + 1
		}
		p := Promotion{Timeline: timeline, LSN: fields[1].position(), Time: safeToken(fields[3].text(), "+-:. "), Leader: safeName(fields[4].text())}
		if reason := fields[2].text(); isPrintable(reason) {
			p.Reason = reason
		}
		c.History = append(c.History, p)
	}
}

// optime returns the leader's position from the status key, and only if there
// is none from optime/leader, which later releases leave behind unchanged
// (Patroni: dcs/__init__.py Status.from_node). It is 0 if unknown.
func optime(keys map[string]string) int64 {
	text, ok := keys["status"]
	if !ok {
		text = keys["optime/leader"]
	}
	if status := value(text).fields(); status != nil {
		return status["optime"].position()
	}
	if text = strings.TrimSpace(text); isNumber(text) {
		return value(text).position()
	}
	return 0
}

// syncState is the sync key. Without a leader it is empty (Patroni:
// dcs/__init__.py SyncState).
type syncState struct {
	leader  string
	quorum  int64
	standby []string // in lower case
}

// parseSync decodes the sync key, which is a leftover unless the mode is on.
func parseSync(mode, text string) syncState {
	if mode == SyncOff {
		return syncState{}
	}
	key := value(text).fields()
	s := syncState{leader: key["leader"].text()}
	quorum, ok := key["quorum"].integer()
	if s.leader == "" || !ok && key["quorum"].truthy() {
		return syncState{}
	}
	s.quorum = quorum
	for name := range strings.SplitSeq(key["sync_standby"].text(), ",") {
		if name = strings.TrimSpace(name); name != "" {
			s.standby = append(s.standby, strings.ToLower(name))
		}
	}
	return s
}

// A Failover is a request to change the leader. It is a switchover if Leader is
// set (Patroni: dcs/__init__.py Failover).
type Failover struct {
	Leader    string `json:"leader"`
	Candidate string `json:"candidate"`
	// ScheduledAt is in ISO 8601, or empty for "now".
	ScheduledAt string `json:"scheduled_at"`
}

// parseFailover returns the request in the failover key, or nil for none: the
// key is emptied rather than deleted. What is not JSON at all is read as
// "leader:candidate", the form of old releases (Patroni: dcs/__init__.py
// Failover.from_node).
func parseFailover(text string) *Failover {
	if text == "" {
		return nil
	}
	var leader, candidate, scheduled string
	var request value
	if unmarshal(text, &request) {
		fields := request.fields()
		leader, candidate, scheduled = fields["leader"].text(), fields["member"].text(), fields["scheduled_at"].text()
	} else {
		parts := append(strings.Split(text, ":"), "")
		leader, candidate = strings.TrimSpace(parts[0]), strings.TrimSpace(parts[1])
	}
	if leader == "" && candidate == "" {
		return nil
	}
	return &Failover{safeName(leader), safeName(candidate), safeToken(scheduled, "+-:. ")}
}

// failsafeMembers returns the REST APIs of the members that were there when the
// key was last written. Patroni does not delete the key when the mode is
// switched off; what is no name or no address is left out.
func failsafeMembers(on bool, text string) map[string]string {
	members := map[string]string{}
	if !on {
		return members
	}
	for name, raw := range value(text).fields() {
		api, err := parseEndpoint(raw.text())
		if err == nil && api.isHTTP() && nameProblem(name) == "" {
			members[name] = api.uri(api.scheme)
		}
	}
	return members
}
