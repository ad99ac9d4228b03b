package patroni

// WithinLag returns the members of list that are known to lag no more than
// limit behind the leader. Unlike it, Patroni's "/replica?lag=" lets everybody
// pass where the leader's position is missing, and before 4.1 it sees the lag of
// replay, which is more than Lag.
func WithinLag(limit Bytes, list []*Member) []*Member {
	return Filter(list, func(m *Member) bool { return m.Lag.Known() && m.Lag <= limit })
}

// WithTag returns the members of list whose tag has the value, as in
// "/replica?tag_name=value": strings are equal exactly, true and false match
// "true" and "false", and a number matches its digits. A tag that is missing
// or null matches nothing, not even the empty string (Patroni: api.py do_GET).
func WithTag(name, value string, list []*Member) []*Member {
	return Filter(list, func(m *Member) bool { return m.tagIs(name, value) })
}

// WithoutTag returns the members of list that WithTag does not return.
func WithoutTag(name, value string, list []*Member) []*Member {
	return Filter(list, func(m *Member) bool { return !m.tagIs(name, value) })
}

// Filter returns the members of list that keep accepts.
func Filter(list []*Member, keep func(*Member) bool) []*Member {
	var kept []*Member
	for _, m := range list {
		if keep(m) {
			kept = append(kept, m)
		}
	}
	return kept
}
