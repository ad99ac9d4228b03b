package statuspage

import (
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"pc4patroni/backends"
	"pc4patroni/funcs/patroni"
	"pc4patroni/internal/report"
	"pc4patroni/resource/engine"
)

// scrapesAtOnce bounds the memory that scrapes take.
const scrapesAtOnce = 4

const namespace = "pc4patroni"

// descriptions are of all metrics that the monitor collects.
var descriptions []*prometheus.Desc

func describe(name, help string, labels ...string) *prometheus.Desc {
	d := prometheus.NewDesc(namespace+"_"+name, help, labels, nil)
	descriptions = append(descriptions, d)
	return d
}

// docs/monitoring.md lists all of them.
var (
	metricBackendUp = describe("backend_up",
		"1 if every backend can be read, else 0.")
	metricResyncs = describe("backend_resyncs_total",
		"Full reads after the first one, by reason.", "reason")
	metricEvents = describe("events_total",
		"Key changes received from the backends.")
	metricRenders = describe("renders_total",
		"Renderings of the template, by result; after a failure the file stays as it is.", "resource", "result")
	metricInSync = describe("resource_in_sync",
		"1 if the file is as it should be and its reload is done, else 0.", "resource")
	metricHeld = describe("resource_held",
		"1 if the cluster lacks what the template needs now, so that the file stays as it is, else 0.", "resource")
	metricReloadPending = describe("reload_pending",
		"1 if the file was replaced and its reload is not done, else 0.", "resource")
	metricLastSuccess = describe("resource_last_success_timestamp_seconds",
		"Unix time at which the file was last known to be as it should be, with its reload done.", "resource")
	metricCommands = describe("command_duration_seconds",
		"Run time of the check and reload commands.", "resource", "command")
	metricFailures = describe("command_failures_total",
		"Failed runs of the check and reload commands.", "resource", "command")
	metricHasPrimary = describe("cluster_has_primary",
		"Whether a member holds the leader lock (1) or not (0); absent for a standby cluster.", "backend", "cluster")
	metricConfigOutdated = describe("config_outdated",
		"Whether the configuration on disk is another one than the one that runs (1) or not (0).")
	metricBuildInfo = describe("build_info",
		"What this program was built from; always 1.", "version", "revision", "goversion")
)

// metrics returns the handler of /metrics.
func (m *monitor) metrics() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(m, m.seen.latency, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: scrapesAtOnce})
}

// Describe implements prometheus.Collector.
func (m *monitor) Describe(out chan<- *prometheus.Desc) {
	for _, d := range descriptions {
		out <- d
	}
}

// Collect implements prometheus.Collector. Whatever is counted is there from the
// beginning, with 0, so that the first increase is one.
func (m *monitor) Collect(out chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, kind, value, labels...)
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		send(d, prometheus.GaugeValue, value, labels...)
	}
	count := func(d *prometheus.Desc, value int, labels ...string) {
		send(d, prometheus.CounterValue, float64(value), labels...)
	}
	status, observed := m.engine.Status(), m.seen.observed()
	gauge(metricBackendUp, number(allConnected(status.Backends)))
	gauge(metricBuildInfo, 1, m.build.Version, m.build.Revision, m.build.GoVersion)
	gauge(metricConfigOutdated, number(status.Outdated))
	hasPrimary := map[[2]string]bool{} // by labels, which two clusters share whose paths look the same
	for _, c := range m.clusters().clusters {
		groups := c.Groups
		if len(groups) == 0 {
			groups = []*patroni.Cluster{c.Cluster}
		}
		for _, g := range groups {
			if !g.StandbyCluster && len(g.Members) > 0 { // without members it is known in part only
				labels := [2]string{label(c.Backend), label(g.Path)}
				others, twice := hasPrimary[labels]
				hasPrimary[labels] = g.Primary != nil && (others || !twice)
			}
		}
	}
	for labels, all := range hasPrimary {
		gauge(metricHasPrimary, number(all), labels[0], labels[1])
	}
	events := 0
	resyncs := map[string]int{
		backends.ResyncInterval: 0, backends.ResyncCompacted: 0, backends.ResyncReplaced: 0, backends.ResyncOther: 0,
	}
	for _, b := range observed.Backends {
		events += b.Events
		for reason, n := range b.Resyncs {
			resyncs[reason] += n
		}
	}
	count(metricEvents, events)
	for reason, n := range resyncs {
		count(metricResyncs, n, reason)
	}
	for name, s := range summaries(status.Resources, observed.Resources) {
		gauge(metricInSync, number(s.inSync), name)
		gauge(metricHeld, number(s.held), name)
		gauge(metricReloadPending, number(s.pending), name)
		if !s.lastSuccess.IsZero() {
			gauge(metricLastSuccess, float64(s.lastSuccess.UnixNano())/1e9, name)
		}
		if s.history == nil {
			continue
		}
		count(metricRenders, s.history.Renders.Runs-s.history.Renders.Failures, name, "success")
		count(metricRenders, s.history.Renders.Failures, name, "failure")
		for command, runs := range map[string]*report.Runs{"check": s.history.Check, "reload": s.history.Reload} {
			if runs != nil {
				out <- prometheus.MustNewConstSummary(metricCommands, uint64(runs.Runs), runs.Total.Seconds(), nil, name, command)
				count(metricFailures, runs.Failures, name, command)
			}
		}
	}
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
	history               *report.History // nil for one that is only broken
}

// summaries sums states up by label. A resource whose new version is broken has
// two, and is in sync with neither.
func summaries(resources []engine.ResourceStatus, observed map[string]report.History) map[string]summary {
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
		if r.Dest != "" {
			s.history = report.NewHistory(&r, observed)
		}
		all[name] = s
	}
	return all
}

// label makes the name of a resource fit for a label: a file may have any name.
func label(name string) string { return strings.ToValidUTF8(name, "?") }

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
