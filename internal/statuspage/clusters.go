package statuspage

import (
	"html/template"
	"maps"
	"net/url"
	"slices"
	"time"
	"weak"

	"pc4patroni/funcs"
	"pc4patroni/funcs/patroni"
	"pc4patroni/internal/report"
	"pc4patroni/resource/engine"
)

const (
	// maxFull is how many clusters one page shows with members and picture. Of
	// more, those with trouble come first, and the others have a row each.
	maxFull = 12
	// clustersKept is for how long decoded clusters are shown again, so that
	// many readers cost no more than one.
	clustersKept = time.Second
)

// located is a cluster and the backend that it was read from.
type located struct {
	backend string
	*patroni.Cluster
}

// snapshot is every cluster among the keys that the engine holds.
type snapshot struct {
	at       time.Time
	clusters []located
}

// clusters decodes the keys that the engine holds: they are what the files
// were made of, also while the backend is away.
func (m *monitor) clusters() *snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.decoded.Value(); c != nil && m.now().Sub(c.at) < clustersKept {
		return c
	}
	held := m.engine.Keys()
	// Resources often share clusters, or hold parts of them.
	byBackend := map[string]map[string]string{}
	for _, keys := range held {
		if byBackend[keys.Backend] == nil {
			byBackend[keys.Backend] = map[string]string{}
		}
		maps.Copy(byBackend[keys.Backend], keys.Values)
	}
	c := &snapshot{at: m.now()}
	for _, backend := range slices.Sorted(maps.Keys(byBackend)) {
		store := funcs.NewStore()
		store.Replace(maps.All(byBackend[backend]))
		for _, cluster := range store.Clusters("/") {
			c.clusters = append(c.clusters, located{backend, cluster})
		}
	}
	m.decoded = weak.Make(c)
	return c
}

// pageClusters is what the page shows of all clusters.
type pageClusters struct {
	Count    int
	Troubled int
	Worst    *pageCluster // of those in trouble, or nil
	Full     []pageCluster
	Rows     []pageCluster
}

type pageCluster struct {
	report.Cluster
	Backend string       // "" if there is only one
	AsOf    string       // when its backend was last heard, if that is away
	Link    template.URL // to this cluster alone
	Running int          // members
	Lag     string       // the largest of those that run; "" without a leader
	Picture *picture
}

// newPageClusters shows the cluster that the query names, if there is one.
func newPageClusters(clusters []located, stores map[string]engine.BackendStatus, query url.Values, now time.Time) pageClusters {
	var v pageClusters
	var all, chosen []pageCluster
	for _, c := range clusters {
		several := slices.ContainsFunc(clusters, func(other located) bool { return other.backend != c.backend })
		for _, shown := range newPageCluster(c, several, now) {
			if b := stores[c.backend]; b.Err != nil && !b.Connected && !b.LastHeard.IsZero() {
				shown.AsOf = newInstant(b.LastHeard, now).Words
			}
			all = append(all, shown)
			if shown.Path == query.Get("cluster") && (!query.Has("backend") || query.Get("backend") == c.backend) {
				chosen = append(chosen, shown)
			}
		}
	}
	v.Count = len(all)
	for i := range all {
		c := &all[i]
		if c.Level() == report.OK {
			continue
		}
		v.Troubled++
		if v.Worst == nil || c.Level() > v.Worst.Level() {
			v.Worst = c
		}
	}
	switch {
	case len(chosen) > 0:
		v.Full = chosen
	case len(all) <= maxFull:
		v.Full = all
	default:
		for _, c := range all {
			if c.Level() > report.OK && len(v.Full) < maxFull {
				v.Full = append(v.Full, c)
			} else {
				v.Rows = append(v.Rows, c)
			}
		}
	}
	return v
}

// newPageCluster returns a cluster, or each group of a Citus cluster.
func newPageCluster(c located, several bool, now time.Time) []pageCluster {
	var all []pageCluster
	for _, d := range report.Clusters(c.Cluster, now) {
		v := pageCluster{Cluster: d, Link: template.URL("?" + url.Values{"cluster": {d.Path}, "backend": {c.backend}}.Encode()), Picture: draw(d.Of)}
		if several {
			v.Backend = report.Printable(c.backend)
		}
		var largest patroni.Bytes
		for _, m := range d.Of.Members {
			if !report.Weak(m) {
				v.Running++
				largest = max(largest, m.Lag)
			}
		}
		if d.Of.Leader != nil {
			v.Lag = report.Lag(largest)
		}
		all = append(all, v)
	}
	return all
}
