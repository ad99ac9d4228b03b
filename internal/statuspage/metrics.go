package statuspage

import (
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"pc4patroni/backends"
	"pc4patroni/internal/report"
	"pc4patroni/resource/engine"
)

// scrapesAtOnce bounds the memory that scrapes take.
const scrapesAtOnce = 4

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("pc4patroni_"+name, help, labels, nil)
}

// What is measured. docs/monitoring.md lists the same.
var (
	metricBackendUp = describe("backend_up",
		"Whether every backend can be read (1) or not (0).")
	metricResyncs = describe("backend_resyncs_total",
		"Full reads after the first one, by what called for them.", "reason")
	metricEvents = describe("events_total",
		"Changes of keys that were received.")
	metricRenders = describe("renders_total",
		"Attempts to render the template; a failure holds the resource.", "resource", "result")
	metricInSync = describe("resource_in_sync",
		"Whether the file is what it should be and its reload is done (1) or not (0).", "resource")
	metricHeld = describe("resource_held",
		"Whether the template cannot be rendered now, so that the file stays as it is.", "resource")
	metricReloadPending = describe("reload_pending",
		"Whether the file was replaced and its reload is not done.", "resource")
	metricLastSuccess = describe("resource_last_success_timestamp_seconds",
		"When the file was last found or made what it should be, with its reload done.", "resource")
	metricCommands = describe("command_duration_seconds",
		"How long the check and reload commands ran.", "resource", "command")
	metricCommandFailures = describe("command_failures_total",
		"Runs of the check and reload commands that failed.", "resource", "command")
	metricLatency = describe("change_to_reload_seconds",
		"From the arrival of a change to the end of the reload that told the proxy.")
	metricBuildInfo = describe("build_info",
		"What was built: always 1.", "version", "revision", "goversion")

	metricDescriptions = []*prometheus.Desc{
		metricBackendUp, metricResyncs, metricEvents, metricRenders, metricInSync, metricHeld, metricReloadPending,
		metricLastSuccess, metricCommands, metricCommandFailures, metricLatency, metricBuildInfo,
	}
)

// resyncReasons are shown from the beginning, with 0, so that the first
// increase is one.
var resyncReasons = []string{
	backends.ResyncInterval, backends.ResyncCompacted, backends.ResyncReplaced, backends.ResyncOther,
}

// metrics returns the handler of /metrics. Nothing is counted twice: the
// numbers are the engine's, and are asked for at each scrape.
func (m *monitor) metrics() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: scrapesAtOnce})
}

// Describe implements prometheus.Collector.
func (m *monitor) Describe(out chan<- *prometheus.Desc) {
	for _, description := range metricDescriptions {
		out <- description
	}
}

// Collect implements prometheus.Collector.
func (m *monitor) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	counter := func(d *prometheus.Desc, n int, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	status := m.engine.Status()
	gauge(metricBackendUp, number(allConnected(status.Backends)))
	events, resyncs := 0, map[string]int{}
	for _, reason := range resyncReasons {
		resyncs[reason] = 0
	}
	for _, b := range m.engine.Backends() {
		events += b.Events
		for reason, n := range b.Resyncs {
			resyncs[reason] += n
		}
	}
	counter(metricEvents, events)
	for reason, n := range resyncs {
		counter(metricResyncs, n, reason)
	}

	records := m.engine.Records()
	for name, s := range standings(status.Resources) {
		gauge(metricInSync, number(s.inSync), name)
		gauge(metricHeld, number(s.held), name)
		gauge(metricReloadPending, number(s.owed), name)
		record, known := records[s.name]
		if !known {
			continue
		}
		counter(metricRenders, record.Renders-record.RenderFailures, name, "success")
		counter(metricRenders, record.RenderFailures, name, "failure")
		if !record.LastSuccess.IsZero() {
			gauge(metricLastSuccess, seconds(record.LastSuccess), name)
		}
		for command, runs := range map[string]Runs{"check": record.Check, "reload": record.Reload} {
			if runs.Defined || runs.Count > 0 {
				out <- prometheus.MustNewConstSummary(metricCommands, uint64(runs.Count), runs.Total.Seconds(), nil, name, command)
				counter(metricCommandFailures, runs.Failures, name, command)
			}
		}
	}

	latency := m.engine.Latency()
	within := make(map[float64]uint64, len(latency.Within))
	for bound, n := range latency.Within {
		within[bound.Seconds()] = uint64(n)
	}
	out <- prometheus.MustNewConstHistogram(metricLatency, uint64(latency.Count), latency.Sum.Seconds(), within)
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

// standing is how one resource stands, in yes and no.
type standing struct {
	inSync, held, owed bool
	name               string
}

// standings sums results up by name. A resource whose new version is broken
// has two, and is in sync with neither.
func standings(results []engine.ResourceStatus) map[string]standing {
	all := make(map[string]standing, len(results))
	for _, r := range results {
		name := strings.ToValidUTF8(r.Name, "?")
		s, twice := all[name]
		inSync := report.InSync(&r)
		s.inSync = inSync && (s.inSync || !twice)
		s.held = s.held || r.State == engine.Held
		s.owed = s.owed || r.ReloadPending
		s.name = r.Name
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

// seconds are those since 1970, as Prometheus counts time.
func seconds(t time.Time) float64 { return float64(t.UnixNano()) / 1e9 }
