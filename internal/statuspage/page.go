package statuspage

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"pc4patroni/internal/report"
	"pc4patroni/resource/engine"
)

//go:embed web/page.html web/style.css
var web embed.FS

var pageTemplate = template.Must(template.New("page.html").ParseFS(web, "web/page.html"))

// minRefresh and maxRefresh bound how often a page may load itself again, in
// seconds.
const (
	minRefresh = 2
	maxRefresh = 3600
)

// resourcesInFull is how many resources one page shows with all that happened to
// them. Of more, those that are not in sync are, and the others have a row each.
const resourcesInFull = 12

// page is what the template shows. All text in it can be printed.
type page struct {
	At            string
	Host, Version string
	Refresh       int          // seconds, or 0
	Toggle        template.URL // the same page with Refresh, or without
	Chosen        bool         // one cluster or resource, by the query

	Headline report.Remark // the worst fact
	Reasons  []report.Remark
	Starting bool

	Clusters pageClusters
	Backends []pageBackend

	Resources pageResources
}

// pageResources is what the page shows of all resources.
type pageResources struct {
	Count      int
	Full, Rows []pageResource
}

type pageResource struct {
	Name, File, Dest    string
	State, Class        string
	Error               string
	LastSuccess         instant
	NextAttempt         instant // after a failure
	Changed             instant
	ChangedHow          string
	DiffLines           []report.DiffLine
	DiffSummary, NoDiff string
	Check, Reload       pageRuns
}

type pageRuns struct {
	Defined bool
	Last    instant
	Took    string
	Failed  bool
	Counts  string
}

type pageBackend struct {
	Name, State, Class, Error string
	Since, Heard              instant
	Revision                  int64
	Events                    int
	Resyncs                   string
}

// instant is a time for people, as seen from the moment of the page.
type instant struct {
	Machine string // for programs; "" if it never was
	Words   string
	Ago     string
}

func (m *monitor) servePage(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	status := m.engine.Status()
	now := m.now()
	p := page{
		At: now.Format("15:04:05 MST, 2 January 2006"), Host: report.Printable(m.host), Version: report.Printable(m.build.version),
		Refresh: refresh(query), Toggle: toggle(query), Reasons: report.Troubles(status),
		Starting: len(status.Backends) == 0,
	}
	seen := m.clusters()
	p.Clusters = newPageClusters(seen.clusters, status.Backends, query, now)
	p.Resources = m.newPageResources(status.Resources, query.Get("resource"), now)
	p.Chosen = query.Get("cluster") != "" || query.Get("resource") != ""
	for _, name := range slices.Sorted(maps.Keys(status.Backends)) {
		p.Backends = append(p.Backends, newPageBackend(name, status.Backends[name], m.seen.counts(name), now))
	}
	p.Headline = headline(&p)
	var out bytes.Buffer
	if err := pageTemplate.Execute(&out, &p); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = out.WriteTo(w) // the reader may have gone
}

func serveStyle(w http.ResponseWriter, _ *http.Request) {
	style, err := web.ReadFile("web/style.css")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	_, _ = w.Write(style) // the reader may have gone
}

// refresh reads how often the reader wants the page again.
func refresh(query url.Values) int {
	n, err := strconv.Atoi(query.Get("refresh"))
	if err != nil || n <= 0 {
		return 0
	}
	return min(max(n, minRefresh), maxRefresh)
}

// toggle links to the same page that loads itself again, or no longer.
func toggle(query url.Values) template.URL {
	other := url.Values{}
	for _, name := range []string{"cluster", "backend", "resource"} {
		if query.Has(name) {
			other.Set(name, query.Get(name))
		}
	}
	if refresh(query) == 0 {
		other.Set("refresh", "5")
	}
	return template.URL("?" + other.Encode()) // it is escaped
}

// headline says the worst that is known in one sentence.
func headline(p *page) report.Remark {
	worst := report.Remark{Text: "Every file is in sync."}
	consider := func(r report.Remark) {
		if r.Level > worst.Level {
			worst = r
		}
	}
	if p.Starting {
		return report.Remark{Text: "Starting."}
	}
	for _, r := range p.Reasons {
		consider(r)
	}
	if c := p.Clusters.Worst; c != nil {
		for _, t := range c.Troubles {
			consider(report.Remark{Text: c.Title + ": " + t.Text, Level: t.Level})
		}
	}
	return worst
}

// newPageResources shows the resource of a name and no other if there is one.
func (m *monitor) newPageResources(results []engine.ResourceStatus, chosen string, now time.Time) pageResources {
	p := pageResources{Count: len(results)}
	isChosen := func(r engine.ResourceStatus) bool { return r.Name == chosen }
	if chosen != "" && slices.ContainsFunc(results, isChosen) {
		results = slices.DeleteFunc(slices.Clone(results), func(r engine.ResourceStatus) bool { return !isChosen(r) })
	}
	for _, r := range results {
		v := newPageResource(r, m.seen.record(r.Name), now)
		if len(results) <= resourcesInFull || v.Class != "ok" && len(p.Full) < resourcesInFull {
			p.Full = append(p.Full, v)
		} else {
			p.Rows = append(p.Rows, v)
		}
	}
	return p
}

func newPageResource(r engine.ResourceStatus, seen record, now time.Time) pageResource {
	v := pageResource{Name: report.Printable(r.Name), File: report.Printable(r.File), Dest: report.Printable(r.Dest), Error: report.Printable(errorText(r.Err))}
	state := report.State(&r)
	v.State, v.Class = state.Text, state.Level.String()
	if r.Dest == "" {
		return v // broken: what was seen is of the version before it
	}
	v.LastSuccess, v.NextAttempt = newInstant(r.LastSuccess, now), newInstant(r.NextAttempt, now)
	v.Check, v.Reload = newPageRuns(r.Checks, seen.check, now), newPageRuns(r.Reloads, seen.reload, now)
	change := seen.change
	v.Changed = newInstant(change.at, now)
	if change.new {
		v.ChangedHow = "the file is new"
	}
	switch {
	case change.at.IsZero() || change.diff == "":
	case isDiff(change.diff):
		v.DiffSummary = report.LineCount(change.diff)
		v.DiffLines = report.DiffLines(change.diff)
	default:
		v.NoDiff = report.Printable(change.diff)
	}
	return v
}

func newPageRuns(has bool, r runs, now time.Time) pageRuns {
	v := pageRuns{Defined: has || r.count > 0, Last: newInstant(r.at, now), Failed: r.failed}
	if r.count == 0 {
		return v
	}
	v.Took = "took " + report.Duration(r.took)
	v.Counts = fmt.Sprintf("%d failed of %d", r.failures, r.count)
	if r.failures == 0 {
		v.Counts = fmt.Sprintf("none failed of %d", r.count)
	}
	return v
}

func newPageBackend(name string, b engine.BackendStatus, counts counts, now time.Time) pageBackend {
	v := pageBackend{
		Name: report.Printable(name), Error: report.Printable(errorText(b.Err)), Since: newInstant(b.Since, now), Heard: newInstant(b.LastHeard, now), Revision: revisionOf(b.Version), Events: counts.events,
	}
	switch {
	case b.Connected:
		v.State, v.Class = "connected", "ok"
	case b.Err == nil:
		v.State, v.Class = "not read yet", "warn"
	default:
		v.State, v.Class = "away", "bad"
	}
	var resyncs []string
	for _, reason := range slices.Sorted(maps.Keys(counts.resyncs)) {
		resyncs = append(resyncs, fmt.Sprintf("%d %s", counts.resyncs[reason], reason))
	}
	v.Resyncs = strings.Join(resyncs, ", ")
	return v
}

func newInstant(t, now time.Time) instant {
	if t.IsZero() {
		return instant{}
	}
	t = t.In(now.Location())
	i := instant{Machine: t.Format(time.RFC3339), Words: t.Format("15:04:05"), Ago: report.Ago(t, now)}
	if y, m, d := t.Date(); y != now.Year() || m != now.Month() || d != now.Day() {
		i.Words = t.Format("2006-01-02 15:04")
	}
	return i
}
