package main

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
	"unicode"

	"pc4patroni/resource"
)

//go:embed web/page.html web/style.css
var web embed.FS

var pageTemplate = template.Must(template.New("page.html").ParseFS(web, "web/page.html"))

// leastRefresh and mostRefresh bound how often a page may load itself again, in
// seconds.
const (
	leastRefresh = 2
	mostRefresh  = 3600
)

// resourcesInFull is how many resources one page shows with all that happened to
// them. Of more, those that are not in sync are, and the others have a row each.
const resourcesInFull = 12

// page is what the template shows. All text in it can be printed.
type page struct {
	At            string
	Host, Version string
	Refresh       int    // seconds, or 0
	RefreshQuery  string // of a link that changes nothing but Refresh
	Chosen        bool   // one cluster or resource, by the query

	Verdict  string
	Trouble  bool
	Reasons  []string
	Silent   []string
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
	Changed             instant
	ChangedHow          string
	DiffLines           []diffLine
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
	Since                     instant
	Revision                  int64
	Events                    int
	Resyncs                   string
}

type diffLine struct{ Class, Text string }

// instant is a time for people, as seen from the moment of the page.
type instant struct {
	Machine string // for programs; "" if it never was
	Words   string
	Ago     string
}

func (m *monitor) servePage(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	status, records := m.engine.Status(), m.engine.Records()
	now := m.now()
	p := page{
		At: now.Format("15:04:05 MST, 2 January 2006"), Host: printable(m.host), Version: printable(m.build.version),
		Refresh: refresh(query), Reasons: reasonsToShow(status),
		Starting: len(status.Backends) == 0,
	}
	census := m.clusters(r.Context())
	for _, name := range census.silent {
		p.Silent = append(p.Silent, printable(name))
	}
	p.Clusters = newPageClusters(census.clusters, query.Get("cluster"))
	p.Resources = newPageResources(status.Results, records, query.Get("resource"), now)
	for _, name := range []string{"cluster", "resource"} {
		if chosen := query.Get(name); chosen != "" {
			p.Chosen = true
			p.RefreshQuery += name + "=" + url.QueryEscape(chosen) + "&"
		}
	}
	for _, name := range slices.Sorted(maps.Keys(status.Backends)) {
		p.Backends = append(p.Backends, newPageBackend(name, status.Backends[name], now))
	}
	p.Verdict, p.Trouble = verdict(&p)
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
	return min(max(n, leastRefresh), mostRefresh)
}

// reasonsToShow are those why the program is not ready, and what is held.
func reasonsToShow(status resource.Status) []string {
	reasons := unready(status)
	for _, r := range status.Results {
		if r.State == resource.Held {
			reasons = append(reasons, fmt.Sprintf("resource %s: held, its file stays as it is: %s", oneLine(r.Name), oneLine(errorText(r.Err))))
		}
	}
	return reasons
}

// verdict says in one sentence how things are.
func verdict(p *page) (words string, trouble bool) {
	switch {
	case p.Starting:
		return "Starting.", false
	case len(p.Reasons) > 0:
		return "Not everything is as it should be.", true
	case p.Clusters.Troubled > 0:
		return "Every file is in sync; look at the clusters.", true
	}
	return "Every file is in sync.", false
}

// newPageResources shows the resource of a name and no other if there is one.
func newPageResources(results []resource.Result, records map[string]resource.Record, chosen string, now time.Time) pageResources {
	p := pageResources{Count: len(results)}
	isChosen := func(r resource.Result) bool { return r.Name == chosen }
	if chosen != "" && slices.ContainsFunc(results, isChosen) {
		results = slices.DeleteFunc(slices.Clone(results), func(r resource.Result) bool { return !isChosen(r) })
	}
	for _, r := range results {
		v := newPageResource(r, records[r.File], now)
		if len(results) <= resourcesInFull || v.Class != "ok" && len(p.Full) < resourcesInFull {
			p.Full = append(p.Full, v)
		} else {
			p.Rows = append(p.Rows, v)
		}
	}
	return p
}

func newPageResource(r resource.Result, record resource.Record, now time.Time) pageResource {
	v := pageResource{Name: printable(r.Name), File: printable(r.File), Dest: printable(r.Dest), Error: printable(errorText(r.Err))}
	v.State, v.Class = stateWords(r)
	if r.Dest == "" {
		return v // broken: the record is that of the version before it
	}
	v.LastSuccess = newInstant(record.LastSuccess, now)
	v.Check, v.Reload = newPageRuns(record.Check, now), newPageRuns(record.Reload, now)
	change := record.Change
	v.Changed = newInstant(change.At, now)
	if change.New {
		v.ChangedHow = "the file is new"
	}
	switch {
	case change.At.IsZero() || change.Diff == "":
	case strings.HasPrefix(change.Diff, diffBegin):
		v.DiffSummary = lineCount(change.Diff)
		v.DiffLines = diffLines(change.Diff)
	default:
		v.NoDiff = printable(change.Diff)
	}
	return v
}

// stateWords names a state, and the class of the style sheet that goes with it.
func stateWords(r resource.Result) (words, class string) {
	switch {
	case r.State == resource.Failed && r.Dest == "":
		return "cannot be used", "bad"
	case r.State == resource.Failed:
		return "failed", "bad"
	case r.State == resource.Held:
		return "held", "warn"
	case r.ReloadOwed:
		return "reload owed", "warn"
	case r.State == resource.Waiting:
		return "waiting", "warn"
	}
	return "in sync", "ok"
}

func newPageRuns(r resource.Runs, now time.Time) pageRuns {
	v := pageRuns{Defined: r.Defined || r.Count > 0, Last: newInstant(r.Last, now), Failed: r.LastFailed}
	if r.Count == 0 {
		return v
	}
	v.Took = "took " + roughly(r.LastTook)
	v.Counts = fmt.Sprintf("%d failed of %d", r.Failures, r.Count)
	if r.Failures == 0 {
		v.Counts = fmt.Sprintf("none failed of %d", r.Count)
	}
	return v
}

func newPageBackend(name string, b resource.BackendStatus, now time.Time) pageBackend {
	v := pageBackend{
		Name: printable(name), Error: printable(errorText(b.Err)), Since: newInstant(b.Since, now), Revision: b.Revision, Events: b.Events,
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
	for _, reason := range slices.Sorted(maps.Keys(b.Resyncs)) {
		resyncs = append(resyncs, fmt.Sprintf("%d %s", b.Resyncs[reason], reason))
	}
	v.Resyncs = strings.Join(resyncs, ", ")
	return v
}

func diffLines(diff string) []diffLine {
	var lines []diffLine
	for text := range strings.Lines(diff) {
		l := diffLine{Text: visible(strings.TrimSuffix(text, "\n"))}
		switch text[0] {
		case '+':
			l.Class = "added"
		case '-':
			l.Class = "removed"
		case ' ':
		default:
			l.Class = "where"
		}
		lines = append(lines, l)
	}
	return lines
}

func newInstant(t, now time.Time) instant {
	if t.IsZero() {
		return instant{}
	}
	t = t.In(now.Location())
	i := instant{Machine: t.Format(time.RFC3339), Words: t.Format("15:04:05"), Ago: roughly(now.Sub(t)) + " ago"}
	if now.Sub(t) < time.Second {
		i.Ago = "now"
	}
	if y, m, d := t.Date(); y != now.Year() || m != now.Month() || d != now.Day() {
		i.Words = t.Format("2006-01-02 15:04")
	}
	return i
}

// roughly rounds a duration to what a person wants to know of it.
func roughly(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return "under 1 ms"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return strings.TrimSuffix(strconv.FormatFloat(d.Seconds(), 'f', 1, 64), ".0") + " s"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// printable makes a text fit for a page: it keeps its lines, and what else
// cannot be printed, such as a character that reverses the text around it, is
// made visible.
func printable(text string) string {
	text = strings.ToValidUTF8(text, "?")
	if !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return text
	}
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = visible(lines[i])
	}
	return strings.Join(lines, "\n")
}
