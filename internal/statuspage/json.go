package statuspage

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"weak"

	"pc4patroni/backends"
	"pc4patroni/internal/report"
	"pc4patroni/resource/engine"
)

// A monitor answers what people and monitoring want to know of the engine. It
// may be used by several goroutines.
type monitor struct {
	engine      Engine
	seen        *observer
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

func newMonitor(e Engine, seen *observer) *monitor {
	return &monitor{engine: e, seen: seen, build: readBuild(), host: hostName(), now: time.Now, aliveWithin: aliveWithin}
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
	// Outdated says that the configuration on disk is not the one that runs.
	Outdated bool `json:"outdated"`
}

type statusResource struct {
	Name        string        `json:"name"`
	File        string        `json:"file"`
	Dest        string        `json:"dest"`
	State       string        `json:"state"`
	Error       string        `json:"error"`
	ReloadOwed  bool          `json:"reload_owed"`
	LastSuccess *time.Time    `json:"last_success"`
	NextAttempt *time.Time    `json:"next_attempt"`
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
	LastHeard *time.Time     `json:"last_heard"`
	Error     string         `json:"error"`
	Revision  int64          `json:"revision"`
	Events    int            `json:"events"`
	Resyncs   map[string]int `json:"resyncs"`
}

func (m *monitor) serveJSON(w http.ResponseWriter, r *http.Request) {
	status, seen := m.engine.Status(), m.clusters()
	reasons := report.NotReady(status)
	out := statusJSON{
		At: m.now().UTC(), Host: m.host, Version: m.build.version,
		Ready: len(reasons) == 0, Reasons: reasons, Outdated: status.Outdated,
	}
	for _, result := range status.Resources {
		out.Resources = append(out.Resources, newStatusResource(result, m.seen.record(result.Name)))
	}
	for _, name := range slices.Sorted(maps.Keys(status.Backends)) {
		b, counts := status.Backends[name], m.seen.counts(name)
		out.Backends = append(out.Backends, statusBackend{
			Name: name, Connected: b.Connected, Since: timeOrNil(b.Since), Error: errorText(b.Err),
			LastHeard: timeOrNil(b.LastHeard), Revision: revisionOf(b.Version), Events: counts.events, Resyncs: counts.resyncs,
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

func newStatusResource(r engine.ResourceStatus, seen record) statusResource {
	out := statusResource{
		Name: r.Name, File: r.File, Dest: r.Dest, State: r.State.String(), Error: errorText(r.Err), ReloadOwed: r.ReloadPending,
	}
	if r.Dest == "" {
		return out // broken: what was seen is of the version before it
	}
	out.LastSuccess, out.NextAttempt = timeOrNil(r.LastSuccess), timeOrNil(r.NextAttempt)
	out.Check, out.Reload = newStatusRuns(r.Checks, seen.check), newStatusRuns(r.Reloads, seen.reload)
	if c := seen.change; !c.at.IsZero() {
		out.LastChange = &statusChange{c.at.UTC(), c.new, c.diff}
	}
	return out
}

// newStatusRuns is nil where there is no such command.
func newStatusRuns(has bool, r runs) *statusRuns {
	if !has && r.count == 0 {
		return nil
	}
	return &statusRuns{r.count, r.failures, timeOrNil(r.at), r.took.Seconds(), r.failed}
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

// revisionOf returns the revision that ends etcd's versions, or 0.
func revisionOf(v backends.Version) int64 {
	_, text, _ := strings.Cut(string(v), "/")
	revision, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return revision
}
