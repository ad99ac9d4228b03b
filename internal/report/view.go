// Package report is what the program tells of itself: a view of clusters,
// resources and backends, and the words for them. -show, the status page,
// /status.json and systemd's status all use it, so that one state has one name.
//
// It decides nothing: values go in, views and texts come out. Texts hold nothing
// that acts on a terminal.
package report

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"pc4patroni/backends"
	"pc4patroni/funcs"
	"pc4patroni/funcs/patroni"
	"pc4patroni/resource/engine"
)

// View is the state of everything at one time. /status.json and -show -o json
// print it, the status page and the table of -show are made of it. Fields may be
// added, never removed.
type View struct {
	At        time.Time  `json:"at"`
	Host      string     `json:"host"`
	Version   string     `json:"version"`
	Ready     bool       `json:"ready"`
	Reasons   []string   `json:"reasons"` // why not
	Outdated  bool       `json:"outdated"`
	Resources []Resource `json:"resources"`
	Backends  []Backend  `json:"backends"`
	Clusters  []Cluster  `json:"clusters"`
	Events    []Event    `json:"events"` // the newest first
	Silent    [0]string  `json:"silent"` // once named resources that did not answer

	Troubles []Remark `json:"-"` // of resources and backends
	Starting bool     `json:"-"`
}

// Resource is a resource and its file.
type Resource struct {
	Name        string     `json:"name"`
	File        string     `json:"file"`
	Src         string     `json:"src"`
	Dest        string     `json:"dest"` // "" if the resource is broken
	Backend     string     `json:"backend"`
	Prefix      string     `json:"prefix"`
	Paths       []string   `json:"paths"`
	State       string     `json:"state"` // of package engine
	Error       string     `json:"error"`
	ReloadOwed  bool       `json:"reload_owed"`
	LastSuccess *time.Time `json:"last_success"`
	NextAttempt *time.Time `json:"next_attempt"`
	Change      *Change    `json:"change"` // what would change, with Noop
	*History               // nil where nobody observed the engine
	*Sight                 // nil where nobody looked

	Standing Remark `json:"-"` // the state in words
}

// Change is what reconciling would change.
type Change struct {
	New          bool     `json:"new"`
	LinesRemoved int      `json:"lines_removed"`
	LinesAdded   int      `json:"lines_added"`
	Metadata     []string `json:"metadata"`
	Reload       string   `json:"reload"`

	Content bool `json:"-"` // the bytes would change
}

// History is what happened to a resource since the program started.
type History struct {
	LastChange *LastChange `json:"last_change"`
	Check      *Runs       `json:"check"` // nil where there is no such command
	Reload     *Runs       `json:"reload"`
	Renders    Runs        `json:"-"`
}

// LastChange is the last replacement of a file. Diff is a diff, or says why
// there is none.
type LastChange struct {
	At   time.Time `json:"at"`
	New  bool      `json:"new"`
	Diff string    `json:"diff"`
}

// Lines returns the diff, nil if there is none.
func (c *LastChange) Lines() []DiffLine {
	if !strings.HasPrefix(c.Diff, "@@") {
		return nil
	}
	return DiffLines(c.Diff)
}

// Count says how many lines the diff adds and removes.
func (c *LastChange) Count() string { return LineCount(c.Diff) }

// Runs sums up the runs of a command. It does not change: see Add.
type Runs struct {
	Runs     int        `json:"runs"`
	Failures int        `json:"failures"`
	Last     *time.Time `json:"last"`
	Seconds  float64    `json:"last_seconds"`
	Failed   bool       `json:"last_failed"`
	Output   string     `json:"last_output"` // of a failure, or why it is not shown

	Total time.Duration `json:"-"`
}

// Add returns the runs with another one that ended at a time, and what it printed
// if it failed.
func (r *Runs) Add(at time.Time, took time.Duration, err error, output string) *Runs {
	var sum Runs
	if r != nil {
		sum = *r
	}
	sum.Runs++
	if err != nil {
		sum.Failures++
	}
	sum.Last, sum.Seconds, sum.Failed, sum.Output = timeOrNil(at), took.Seconds(), err != nil, output
	sum.Total += took
	return &sum
}

// Sight is what the template of a resource sees.
type Sight struct {
	Keys int                `json:"keys"`
	Sees []*patroni.Cluster `json:"sees"`
}

// Backend is a backend and what came from it.
type Backend struct {
	Name      string     `json:"name"`
	Connected bool       `json:"connected"`
	Since     *time.Time `json:"since"`
	LastHeard *time.Time `json:"last_heard"`
	Error     string     `json:"error"`
	Revision  int64      `json:"revision"`
	Received

	Standing Remark `json:"-"` // the state in words
}

// Received counts what came from a backend.
type Received struct {
	Events  int            `json:"events"`
	Resyncs map[string]int `json:"resyncs"` // full reads after the first one, by reason
}

// Cluster is a cluster and the backend that it was read from. AsOf is when that
// was last heard if it is away, else nil.
type Cluster struct {
	Backend string
	AsOf    *time.Time
	*patroni.Cluster
}

// MarshalJSON writes the cluster's own JSON with ours in front.
func (c Cluster) MarshalJSON() ([]byte, error) {
	own, err := json.Marshal(struct {
		Backend string     `json:"backend"`
		AsOf    *time.Time `json:"as_of"`
	}{c.Backend, c.AsOf})
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(c.Cluster)
	return slices.Concat(bytes.TrimSuffix(own, []byte("}")), []byte(","), bytes.TrimPrefix(text, []byte("{"))), err
}

// Clusters decodes every cluster among the keys of each backend.
func Clusters(keys map[string]map[string]string) []Cluster {
	var all []Cluster
	for _, backend := range slices.Sorted(maps.Keys(keys)) {
		store := funcs.NewStore()
		store.Replace(keys[backend])
		for _, c := range store.Clusters("/") {
			all = append(all, Cluster{Backend: backend, Cluster: c})
		}
	}
	return all
}

// Observed is what was observed of an engine, by resource and by backend.
type Observed struct {
	Resources map[string]History
	Backends  map[string]Received
	Events    []Event // the newest first
}

// NewView returns the state of an engine, nil for what nobody observed.
func NewView(at time.Time, status engine.Status, clusters []Cluster, observed *Observed) *View {
	reasons := NotReady(status)
	v := &View{
		At: at.UTC(), Ready: len(reasons) == 0, Reasons: append([]string{}, reasons...), Outdated: status.Outdated,
		Resources: []Resource{}, Backends: []Backend{}, Clusters: append([]Cluster{}, clusters...), Events: []Event{},
		Troubles: Troubles(status), Starting: isStarting(status),
	}
	if observed != nil {
		v.Events = append(v.Events, observed.Events...)
	}
	for _, r := range status.Resources {
		v.Resources = append(v.Resources, newResource(&r, observed))
	}
	for _, name := range slices.Sorted(maps.Keys(status.Backends)) {
		b := status.Backends[name]
		shown := Backend{Name: name, Connected: b.Connected, Since: timeOrNil(b.Since), LastHeard: timeOrNil(b.LastHeard),
			Error: errorText(b.Err), Revision: revisionOf(b.Version), Received: Received{Resyncs: map[string]int{}}, Standing: backendState(&b)}
		if observed != nil && observed.Backends[name].Resyncs != nil {
			shown.Received = observed.Backends[name]
		}
		v.Backends = append(v.Backends, shown)
	}
	for i := range v.Clusters {
		c := &v.Clusters[i]
		if b := status.Backends[c.Backend]; b.Err != nil && !b.Connected {
			c.AsOf = timeOrNil(b.LastHeard)
		}
	}
	return v
}

func newResource(r *engine.ResourceStatus, observed *Observed) Resource {
	v := Resource{
		Name: r.Name, File: r.File, Dest: r.Dest, Backend: r.Backend, Paths: []string{}, State: r.State.String(), Error: errorText(r.Err),
		ReloadOwed: r.ReloadPending, LastSuccess: timeOrNil(r.LastSuccess), NextAttempt: timeOrNil(r.NextAttempt), Standing: State(r),
	}
	if d := r.Declared; d != nil {
		v.Src, v.Prefix, v.Paths = d.Src, d.Prefix, append(v.Paths, d.Paths...)
	}
	if c := r.Change; c != nil {
		v.Change = &Change{New: c.New, Metadata: append([]string{}, c.Metadata...), Reload: c.Reload, Content: !bytes.Equal(c.Old, c.Now)}
		hunks, _ := Diff(c.Old, c.Now)
		v.Change.LinesRemoved, v.Change.LinesAdded = LineChanges(hunks)
	}
	if observed == nil {
		return v
	}
	v.History = NewHistory(r, observed.Resources)
	return v
}

// NewHistory returns what was observed of a resource, with no runs yet of the
// commands that it has.
func NewHistory(r *engine.ResourceStatus, observed map[string]History) *History {
	if r.Dest == "" {
		return &History{} // what was observed is of the version before it was broken
	}
	h := observed[r.Name]
	if h.Check == nil && r.Checks {
		h.Check = &Runs{}
	}
	if h.Reload == nil && r.Reloads {
		h.Reload = &Runs{}
	}
	return &h
}

// Look finds what the template sees among the keys of its backend.
func (r *Resource) Look(status *engine.ResourceStatus, values map[string]string) {
	r.Sight = &Sight{Sees: []*patroni.Cluster{}}
	if status.Declared == nil {
		return
	}
	store := funcs.NewStore()
	for key, value := range values {
		if relative, ok := status.Declared.Relative(key); ok {
			store.Set(relative, value)
		}
	}
	r.Keys = store.Len()
	r.Sees = append(r.Sees, store.Clusters(r.Prefix)...)
}

// WriteJSON prints the view for programs.
func (v *View) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
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

// revisionOf returns the revision that ends etcd's versions, or 0.
func revisionOf(v backends.Version) int64 {
	_, text, _ := strings.Cut(string(v), "/")
	revision, _ := strconv.ParseInt(text, 10, 64) // 0 is none
	return revision
}
