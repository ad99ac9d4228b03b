package statuspage

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
	"weak"

	"pc4patroni/internal/report"
	"pc4patroni/resource/engine"
)

// A monitor answers what people and monitoring want to know of the engine. It
// may be used by several goroutines.
type monitor struct {
	engine      Engine
	build       build
	host        string // name of this host
	now         func() time.Time
	aliveWithin time.Duration

	mu      sync.Mutex             // held while clusters are decoded, by one reader
	decoded weak.Pointer[snapshot] // a thousand clusters are not kept for nobody
}

// build says what this program is.
type build struct{ version, revision, goVersion string }

func readBuild() build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return build{version: "unknown"}
	}
	b := build{version: info.Main.Version, goVersion: info.GoVersion}
	if b.version == "" {
		b.version = "(devel)"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			b.revision = s.Value
		}
	}
	return b
}

func newMonitor(engine Engine) *monitor {
	return &monitor{engine: engine, build: readBuild(), host: hostName(), now: time.Now, aliveWithin: aliveWithin}
}

// hostName is the name of this host, for people.
func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "this host"
	}
	return name
}

// statusJSON is the form of /status.json. Fields may be added, never removed.
type statusJSON struct {
	At        time.Time         `json:"at"`
	Host      string            `json:"host"`
	Version   string            `json:"version"`
	Ready     bool              `json:"ready"`
	Reasons   []string          `json:"reasons"`
	Resources []statusResource  `json:"resources"`
	Backends  []statusBackend   `json:"backends"`
	Clusters  []json.RawMessage `json:"clusters"`
	// Silent is always empty: keys can be had at any time.
	Silent []string `json:"silent"`
}

type statusResource struct {
	Name        string        `json:"name"`
	File        string        `json:"file"`
	Dest        string        `json:"dest"`
	State       string        `json:"state"`
	Error       string        `json:"error"`
	ReloadOwed  bool          `json:"reload_owed"`
	LastSuccess *time.Time    `json:"last_success"`
	LastChange  *statusChange `json:"last_change"`
	Check       *statusRuns   `json:"check"`
	Reload      *statusRuns   `json:"reload"`
}

type statusChange struct {
	At   time.Time `json:"at"`
	New  bool      `json:"new"`
	Diff string    `json:"diff"`
}

type statusRuns struct {
	Runs     int        `json:"runs"`
	Failures int        `json:"failures"`
	Last     *time.Time `json:"last"`
	Seconds  float64    `json:"last_seconds"`
	Failed   bool       `json:"last_failed"`
}

type statusBackend struct {
	Name      string         `json:"name"`
	Connected bool           `json:"connected"`
	Since     *time.Time     `json:"since"`
	Error     string         `json:"error"`
	Revision  int64          `json:"revision"`
	Events    int            `json:"events"`
	Resyncs   map[string]int `json:"resyncs"`
}

func (m *monitor) serveJSON(w http.ResponseWriter, r *http.Request) {
	status, records, counts, seen := m.engine.Status(), m.engine.Records(), m.engine.Backends(), m.clusters()
	reasons := report.NotReady(status)
	out := statusJSON{
		At: m.now().UTC(), Host: m.host, Version: m.build.version,
		Ready: len(reasons) == 0, Reasons: reasons,
	}
	for _, result := range status.Resources {
		out.Resources = append(out.Resources, newStatusResource(result, records[result.Name]))
	}
	for _, name := range slices.Sorted(maps.Keys(status.Backends)) {
		b := status.Backends[name]
		out.Backends = append(out.Backends, statusBackend{
			Name: name, Connected: b.Connected, Since: timeOrNil(b.Since), Error: errorText(b.Err),
			Revision: revisionOf(b.Version), Events: counts[name].Events, Resyncs: counts[name].Resyncs,
		})
	}
	for _, c := range seen.clusters {
		text, err := report.ClusterJSON(c.backend, c.Cluster)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		out.Clusters = append(out.Clusters, text)
	}
	out.Reasons, out.Silent = orEmpty(out.Reasons), orEmpty(out.Silent)
	out.Resources, out.Backends, out.Clusters = orEmpty(out.Resources), orEmpty(out.Backends), orEmpty(out.Clusters)
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(out) // the asker may have gone
}

func newStatusResource(r engine.ResourceStatus, record Record) statusResource {
	out := statusResource{
		Name: r.Name, File: r.File, Dest: r.Dest, State: r.State.String(), Error: errorText(r.Err), ReloadOwed: r.ReloadPending,
	}
	if r.Dest == "" {
		return out // broken: the record is that of the version before it
	}
	out.LastSuccess = timeOrNil(record.LastSuccess)
	out.Check, out.Reload = newStatusRuns(record.Check), newStatusRuns(record.Reload)
	if c := record.Change; !c.At.IsZero() {
		out.LastChange = &statusChange{c.At.UTC(), c.New, c.Diff}
	}
	return out
}

func newStatusRuns(r Runs) *statusRuns {
	if !r.Defined && r.Count == 0 {
		return nil
	}
	return &statusRuns{r.Count, r.Failures, timeOrNil(r.Last), r.LastTook.Seconds(), r.LastFailed}
}

// timeOrNil is nil for a time that never was.
func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return strings.ToValidUTF8(err.Error(), "?")
}

// orEmpty has an absent list written as [] and not as null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
