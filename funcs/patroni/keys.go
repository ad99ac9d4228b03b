package patroni

import (
	"slices"
	"strings"
)

// This file decodes the keys status, sync, failover and failsafe.

// optime returns the leader's position from the status key, and only if there
// is none from optime/leader, which later releases leave behind unchanged
// (Patroni: dcs/__init__.py Status.from_node). It is 0 if unknown.
func optime(keys map[string]string) int64 {
	text, ok := keys["status"]
	if !ok {
		text, ok = keys["optime/leader"]
	}
	if !ok {
		return 0
	}
	if status, ok := object(text); ok {
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
	var s syncState
	if s.leader, _ = key["leader"].text(); s.leader == "" {
		return syncState{}
	}
	if key["quorum"].truthy() {
		var ok bool
		if s.quorum, ok = key["quorum"].integer(); !ok {
			return syncState{}
		}
	}
	names, _ := key["sync_standby"].text()
	for name := range strings.SplitSeq(names, ",") {
		if name = strings.TrimSpace(name); name != "" {
			s.standby = append(s.standby, strings.ToLower(name))
		}
	}
	return s
}

// names tells whether the key names the member as a standby. PostgreSQL does
// not look at case here, and neither does Patroni.
func (s syncState) names(member string) bool {
	return slices.Contains(s.standby, strings.ToLower(member))
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
	f := &Failover{}
	var v value
	if unmarshal(text, &v) {
		fields := v.fields()
		leader, _ := fields["leader"].text()
		candidate, _ := fields["member"].text()
		scheduled, _ := fields["scheduled_at"].text()
		f.Leader, f.Candidate, f.ScheduledAt = safeName(leader), safeName(candidate), safeToken(scheduled, "+-:. ")
	} else {
		leader, candidate, _ := strings.Cut(text, ":")
		candidate, _, _ = strings.Cut(candidate, ":")
		f.Leader, f.Candidate = safeName(strings.TrimSpace(leader)), safeName(strings.TrimSpace(candidate))
	}
	if f.Leader == "" && f.Candidate == "" {
		return nil
	}
	return f
}

// failsafeMembers returns the REST APIs of the members that were there when the
// key was last written. Patroni does not delete the key when the mode is
// switched off; what is no name or no address is left out.
func failsafeMembers(on bool, text string) map[string]string {
	members := map[string]string{}
	if !on {
		return members
	}
	for name, v := range value(text).fields() {
		raw, _ := v.text()
		api, err := parseEndpoint(raw)
		if err == nil && len(api.addrs) > 0 && nameProblem(name) == "" && (api.scheme == "http" || api.scheme == "https") {
			members[name] = api.uri(api.scheme)
		}
	}
	return members
}
