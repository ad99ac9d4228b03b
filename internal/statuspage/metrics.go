package statuspage

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"pc4patroni/internal/report"
	"pc4patroni/resource/engine"
)

// scrapesAtOnce bounds the memory that scrapes take.
const scrapesAtOnce = 4

const namespace = "pc4patroni"

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(namespace+"_"+name, help, labels, nil)
}

// What is asked of the engine at each scrape; an observer counts the rest.
// docs/monitoring.md lists all of them.
var (
	metricBackendUp = describe("backend_up",
		"Whether every backend can be read (1) or not (0).")
	metricInSync = describe("resource_in_sync",
		"Whether the file is what it should be and its reload is done (1) or not (0).", "resource")
	metricHeld = describe("resource_held",
		"Whether the template cannot be rendered now, so that the file stays as it is.", "resource")
	metricReloadPending = describe("reload_pending",
		"Whether the file was replaced and its reload is not done.", "resource")
	metricLastSuccess = describe("resource_last_success_timestamp_seconds",
		"When the file was last found or made what it should be, with its reload done.", "resource")
	metricBuildInfo = describe("build_info",
		"What was built: always 1.", "version", "revision", "goversion")
)

// metrics returns the handler of /metrics.
func (m *monitor) metrics() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	registry.MustRegister(m.seen.collectors()...)
	scrape := promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: scrapesAtOnce})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.seen.measure(m.engine.Status().Resources)
		scrape.ServeHTTP(w, r)
	})
}

// Describe implements prometheus.Collector.
func (m *monitor) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		metricBackendUp, metricInSync, metricHeld, metricReloadPending, metricLastSuccess, metricBuildInfo,
	} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (m *monitor) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	status := m.engine.Status()
	gauge(metricBackendUp, number(allConnected(status.Backends)))
	for name, s := range summaries(status.Resources) {
		gauge(metricInSync, number(s.inSync), name)
		gauge(metricHeld, number(s.held), name)
		gauge(metricReloadPending, number(s.pending), name)
		if !s.lastSuccess.IsZero() {
			gauge(metricLastSuccess, float64(s.lastSuccess.UnixNano())/1e9, name)
		}
	}
	gauge(metricBuildInfo, 1, m.build.version, m.build.revision, m.build.goVersion)
}

func allConnected(all map[string]engine.BackendStatus) bool {
	for _, b := range all {
		if !b.Connected {
			return false
		}
	}
	return len(all) > 0
}

// summary is the state of one resource, in yes and no.
type summary struct {
	inSync, held, pending bool
	lastSuccess           time.Time
}

// summaries sums states up by name. A resource whose new version is broken has
// two, and is in sync with neither.
func summaries(resources []engine.ResourceStatus) map[string]summary {
	all := make(map[string]summary, len(resources))
	for _, r := range resources {
		name := label(r.Name)
		s, twice := all[name]
		s.inSync = report.InSync(&r) && (s.inSync || !twice)
		s.held = s.held || r.State == engine.Held
		s.pending = s.pending || r.ReloadPending
		if r.LastSuccess.After(s.lastSuccess) {
			s.lastSuccess = r.LastSuccess
		}
		all[name] = s
	}
	return all
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
