package statuspage

import (
	"maps"
	"net/http"
	"sync"
	"time"
	"weak"

	"pc4patroni/internal/report"
)

// A monitor answers what people and monitoring want to know of the engine. It
// may be used by several goroutines.
type monitor struct {
	engine      Engine
	seen        *observer
	build       report.Build
	host        string // name of this host
	now         func() time.Time
	aliveWithin time.Duration

	mu      sync.Mutex             // held while clusters are decoded, by one reader
	decoded weak.Pointer[snapshot] // a thousand clusters are not kept for nobody
}

func newMonitor(e Engine, seen *observer) *monitor {
	return &monitor{engine: e, seen: seen, build: report.ReadBuild(), host: report.HostName(), now: time.Now, aliveWithin: aliveWithin}
}

// view returns the state of everything.
func (m *monitor) view() *report.View {
	v := report.NewView(m.now(), m.engine.Status(), m.clusters().clusters, m.seen.observed())
	v.Host, v.Version = m.host, m.build.Version
	return v
}

// clustersKept is for how long decoded clusters are shown again, so that many
// readers cost no more than one.
const clustersKept = time.Second

// snapshot is every cluster among the keys that the engine holds.
type snapshot struct {
	at       time.Time
	clusters []report.Cluster
}

// clusters decodes the keys that the engine holds: they are what the files
// were made of, also while the backend is away.
func (m *monitor) clusters() *snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.decoded.Value(); c != nil && m.now().Sub(c.at) < clustersKept {
		return c
	}
	// Resources often share clusters, or hold parts of them.
	byBackend := map[string]map[string]string{}
	for _, keys := range m.engine.Keys() {
		if byBackend[keys.Backend] == nil {
			byBackend[keys.Backend] = map[string]string{}
		}
		maps.Copy(byBackend[keys.Backend], keys.Values)
	}
	c := &snapshot{m.now(), report.Clusters(byBackend)}
	m.decoded = weak.Make(c)
	return c
}

func (m *monitor) serveJSON(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = m.view().WriteJSON(w) // the asker may have gone
}
