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
	"sync"
	"time"

	"pc4patroni/internal/report"
)

//go:embed web/page.html web/style.css
var web embed.FS

// pageTemplate is parsed when the page is first asked for: -onetime, which has none, starts sooner.
var pageTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("page.html").Funcs(template.FuncMap{"picture": picture}).ParseFS(web, "web/page.html"))
})

const (
	// minRefresh and maxRefresh bound how often a page may load itself again, in
	// seconds.
	minRefresh = 2
	maxRefresh = 3600
	// maxFull is how many clusters, and how many resources, one page shows with
	// all that is known of them. Of more, those with trouble come first, and the
	// others have a row each. It is also how many events are unfolded.
	maxFull = 12
)

// page is what the template shows.
type page struct {
	*report.View
	now      time.Time
	Refresh  int          // seconds, or 0
	Toggle   template.URL // the same page with Refresh, or without
	Chosen   bool         // one cluster or resource, by the query
	Headline report.Remark
	Several  bool // backends
	// ResourcesFirst says that something is wrong with a file.
	ResourcesFirst bool

	// Of the clusters, and the groups of Citus clusters, and of the resources.
	ClusterCount                int
	FullClusters, ClusterRows   []report.Description
	FullResources, ResourceRows []report.Resource
	// EventLists are the newest events and the others.
	EventLists [][]report.Event
}

func (m *monitor) servePage(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	p := page{View: m.view(), now: m.now(), Refresh: refresh(query), Toggle: toggle(query)}
	p.Chosen = query.Get("cluster") != "" || query.Get("resource") != ""
	p.Several = len(p.Backends) > 1
	p.ResourcesFirst = slices.ContainsFunc(p.Resources, func(r report.Resource) bool { return r.Standing.Level > report.OK })

	var clusters []report.Description
	for _, c := range p.Clusters {
		clusters = append(clusters, c.Describe(p.now)...)
	}
	p.ClusterCount, p.Headline = len(clusters), headline(p.View, clusters)
	p.Troubles = slices.DeleteFunc(p.Troubles, func(r report.Remark) bool { return r == p.Headline })
	if n := troubled(clusters); n > 0 && len(clusters) > 1 {
		p.Troubles = append(p.Troubles, report.Remark{Text: fmt.Sprintf("%d of %d clusters in trouble", n, len(clusters)), Level: report.Warn})
	}
	p.FullClusters, p.ClusterRows = choose(clusters, func(c *report.Description) bool {
		return c.Path == query.Get("cluster") && (!query.Has("backend") || query.Get("backend") == c.Backend)
	}, func(c *report.Description) report.Level { return c.Level() })
	p.FullResources, p.ResourceRows = choose(p.Resources, func(r *report.Resource) bool { return r.Name == query.Get("resource") },
		func(r *report.Resource) report.Level { return r.Standing.Level })

	if name := query.Get("resource"); name != "" {
		p.Events = slices.DeleteFunc(p.Events, func(e report.Event) bool { return e.Resource != "" && e.Resource != name })
	}
	newest := min(len(p.Events), maxFull)
	for _, list := range [][]report.Event{p.Events[:newest], p.Events[newest:]} {
		if len(list) > 0 {
			p.EventLists = append(p.EventLists, list)
		}
	}

	var out bytes.Buffer
	if err := pageTemplate().Execute(&out, &p); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(report.Printable(out.String()))) // the reader may have gone
}

// choose returns what is shown in full and what in a row: of all those that are
// chosen, else as many as there may be, those with trouble first.
func choose[T any](all []T, isChosen func(*T) bool, level func(*T) report.Level) (full, rows []T) {
	for i := range all {
		if isChosen(&all[i]) {
			full = append(full, all[i])
		}
	}
	if len(full) > 0 {
		return full, nil
	}
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b T) int { return int(level(&b) - level(&a)) })
	if len(all) <= maxFull {
		return all, nil
	}
	troubled := 0
	for troubled < maxFull && level(&all[troubled]) > report.OK {
		troubled++
	}
	return all[:troubled], all[troubled:]
}

func serveStyle(w http.ResponseWriter, r *http.Request) {
	http.ServeFileFS(w, r, web, "web/style.css")
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
	other := maps.Clone(query)
	other.Del("refresh")
	if refresh(query) == 0 {
		other.Set("refresh", "5")
	}
	return template.URL("?" + other.Encode()) // it is escaped
}

// headline says the worst that is known in one sentence.
func headline(v *report.View, clusters []report.Description) report.Remark {
	if v.Starting {
		return report.Remark{Text: "Starting."}
	}
	remarks := slices.Clone(v.Troubles)
	for _, c := range clusters {
		for _, t := range c.Troubles {
			remarks = append(remarks, report.Remark{Text: c.Title + ": " + t.Text, Level: t.Level})
		}
	}
	worst := report.Remark{Text: "Every file is in sync."}
	for _, r := range remarks {
		if r.Level > worst.Level {
			worst = r
		}
	}
	return worst
}

// troubled counts the clusters that want a look.
func troubled(clusters []report.Description) (n int) {
	for i := range clusters {
		if clusters[i].Level() > report.OK {
			n++
		}
	}
	return n
}

// ResyncList says why a backend was read again in full.
func (p *page) ResyncList(b report.Backend) string {
	var list []string
	for _, reason := range slices.Sorted(maps.Keys(b.Resyncs)) {
		list = append(list, fmt.Sprintf("%s: %d", reason, b.Resyncs[reason]))
	}
	return strings.Join(list, ", ")
}

// command is a command of a resource and its runs; Runs is nil where there is
// none.
type command struct {
	Name string
	*report.Runs
}

// Took says how long the last run took.
func (c command) Took() string {
	return report.Duration(time.Duration(c.Seconds * float64(time.Second)))
}

// Commands returns the commands of a resource.
func (p *page) Commands(r report.Resource) []command {
	return []command{{"check", r.Check}, {"reload", r.Reload}}
}

// instant is a time for people, as seen from the moment of the page.
type instant struct {
	Machine string // for programs; "" if it never was
	Words   string
	Ago     string
}

// Instant returns a time as the page shows it.
func (p *page) Instant(at *time.Time) instant {
	if at == nil {
		return instant{}
	}
	return p.When(*at)
}

// When is Instant for a time that was.
func (p *page) When(at time.Time) instant {
	t := at.In(p.now.Location())
	i := instant{Machine: t.Format(time.RFC3339), Words: t.Format("15:04:05"), Ago: report.Ago(t, p.now)}
	if y, m, d := t.Date(); y != p.now.Year() || m != p.now.Month() || d != p.now.Day() {
		i.Words = t.Format("2006-01-02 15:04")
	}
	return i
}

// Moment is when the page was made.
func (p *page) Moment() string { return p.now.Format("15:04:05 MST, 2 January 2006") }
