package statuspage

import (
	"errors"
	"maps"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"pc4patroni/resource/engine"
)

// exampleEngine has one resource in every state.
func exampleEngine() *toldEngine {
	result := func(name string, state engine.State, err error) engine.ResourceStatus {
		return engine.ResourceStatus{Name: name, File: "conf.d/" + name + ".toml", Dest: "/etc/" + name, State: state, Err: err}
	}
	owing := result("owing", engine.Changed, nil)
	owing.ReloadPending = true
	good := result("good", engine.InSync, nil)
	good.LastSuccess, good.Checks, good.Reloads = noon.Add(-1500*time.Millisecond), true, true
	changed := noon.Add(-90 * time.Minute)
	return &toldEngine{
		status: engine.Status{
			Backends: connected(),
			Resources: []engine.ResourceStatus{
				{Name: "broken", File: "conf.d/broken.toml", State: engine.Failed, Err: errors.New("line 3: bad")},
				good,
				result("held", engine.Held, errors.New("no primary")),
				owing,
				result("twice", engine.InSync, nil),
				{Name: "twice", File: "conf.d/twice.toml", State: engine.Failed, Err: errors.New("line 4: bad")},
			},
		},
		events: exampleEvents(changed),
	}
}

// exampleEvents is what happened in the example, the last of it at changed.
func exampleEvents(changed time.Time) []engine.Event {
	const backend = "etcd http://10.0.0.9:2379"
	events := []engine.Event{
		{Kind: engine.Received, Backend: backend, Count: 7},
		{Kind: engine.Resynced, Backend: backend, Reason: "replaced"},
		{Kind: engine.Resynced, Backend: backend, Reason: "replaced"},
		{Kind: engine.Rendered, Resource: "held", Err: errors.New("no primary")},
		{Kind: engine.Rendered, Resource: "held", Err: errors.New("no primary")},
		{Kind: engine.Rendered, Resource: "good", Err: errors.New("no primary")},
		{Kind: engine.Checked, Resource: "good", Took: 1250 * time.Millisecond, Err: errors.New("exit status 1")},
		{Kind: engine.Failing, Resource: "good", Err: errors.New("check failed: exit status 1")},
		{Kind: engine.Reloaded, Resource: "good", Took: 130 * time.Millisecond, Latency: 50 * time.Millisecond},
		{Kind: engine.Reloaded, Resource: "good", Took: 130 * time.Millisecond, Latency: 450 * time.Millisecond},
		{Kind: engine.Reloaded, Resource: "good", Took: 40 * time.Millisecond, Latency: time.Second, Time: changed},
		{Kind: engine.Installed, Resource: "good", Time: changed, Before: []byte("old"),
			After: []byte("@@ -1,2 +1,2 @@\n a\n-server <b>old</b>\n+server new\x1b[2J\n")},
	}
	for range 9 {
		events = append(events, engine.Event{Kind: engine.Rendered, Resource: "good"})
	}
	for range 3 {
		events = append(events, engine.Event{Kind: engine.Checked, Resource: "good", Took: 250 * time.Millisecond, Time: changed})
	}
	return events
}

func TestMetrics(t *testing.T) {
	handler := newHandler(newTestMonitor(exampleEngine()), "", onLoopback)
	response := get(t, handler, "/metrics")
	all := body(t, response)
	if response.StatusCode != 200 {
		t.Fatalf("%s\n%s", response.Status, all)
	}
	var ours strings.Builder
	for line := range strings.Lines(all) {
		if strings.HasPrefix(line, "pc4patroni_") {
			ours.WriteString(line)
		}
	}
	want := `
pc4patroni_backend_resyncs_total{reason="compacted"} 0
pc4patroni_backend_resyncs_total{reason="interval"} 0
pc4patroni_backend_resyncs_total{reason="other"} 0
pc4patroni_backend_resyncs_total{reason="replaced"} 2
pc4patroni_backend_up 1
pc4patroni_build_info{goversion="go1.26",revision="abc",version="v1.2.3"} 1
pc4patroni_change_to_reload_seconds_bucket{le="0.005"} 0
pc4patroni_change_to_reload_seconds_bucket{le="0.01"} 0
pc4patroni_change_to_reload_seconds_bucket{le="0.025"} 0
pc4patroni_change_to_reload_seconds_bucket{le="0.05"} 1
pc4patroni_change_to_reload_seconds_bucket{le="0.1"} 1
pc4patroni_change_to_reload_seconds_bucket{le="0.25"} 1
pc4patroni_change_to_reload_seconds_bucket{le="0.5"} 2
pc4patroni_change_to_reload_seconds_bucket{le="1"} 3
pc4patroni_change_to_reload_seconds_bucket{le="2.5"} 3
pc4patroni_change_to_reload_seconds_bucket{le="5"} 3
pc4patroni_change_to_reload_seconds_bucket{le="10"} 3
pc4patroni_change_to_reload_seconds_bucket{le="30"} 3
pc4patroni_change_to_reload_seconds_bucket{le="60"} 3
pc4patroni_change_to_reload_seconds_bucket{le="+Inf"} 3
pc4patroni_change_to_reload_seconds_sum 1.5
pc4patroni_change_to_reload_seconds_count 3
pc4patroni_command_duration_seconds_sum{command="check",resource="good"} 2
pc4patroni_command_duration_seconds_count{command="check",resource="good"} 4
pc4patroni_command_duration_seconds_sum{command="reload",resource="good"} 0.3
pc4patroni_command_duration_seconds_count{command="reload",resource="good"} 3
pc4patroni_command_failures_total{command="check",resource="good"} 1
pc4patroni_command_failures_total{command="reload",resource="good"} 0
pc4patroni_config_outdated 0
pc4patroni_events_total 7
pc4patroni_reload_pending{resource="broken"} 0
pc4patroni_reload_pending{resource="good"} 0
pc4patroni_reload_pending{resource="held"} 0
pc4patroni_reload_pending{resource="owing"} 1
pc4patroni_reload_pending{resource="twice"} 0
pc4patroni_renders_total{resource="good",result="failure"} 1
pc4patroni_renders_total{resource="good",result="success"} 9
pc4patroni_renders_total{resource="held",result="failure"} 2
pc4patroni_renders_total{resource="held",result="success"} 0
pc4patroni_renders_total{resource="owing",result="failure"} 0
pc4patroni_renders_total{resource="owing",result="success"} 0
pc4patroni_renders_total{resource="twice",result="failure"} 0
pc4patroni_renders_total{resource="twice",result="success"} 0
pc4patroni_resource_held{resource="broken"} 0
pc4patroni_resource_held{resource="good"} 0
pc4patroni_resource_held{resource="held"} 1
pc4patroni_resource_held{resource="owing"} 0
pc4patroni_resource_held{resource="twice"} 0
pc4patroni_resource_in_sync{resource="broken"} 0
pc4patroni_resource_in_sync{resource="good"} 1
pc4patroni_resource_in_sync{resource="held"} 0
pc4patroni_resource_in_sync{resource="owing"} 0
pc4patroni_resource_in_sync{resource="twice"} 0
pc4patroni_resource_last_success_timestamp_seconds{resource="good"} 1.7840303985e+09
`
	if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), ours.String()); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
	for _, name := range []string{"go_goroutines", "process_resident_memory_bytes"} {
		if !strings.Contains(all, "\n"+name+" ") {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestBackendUp(t *testing.T) {
	told := &toldEngine{status: engine.Status{Backends: connected()}}
	handler := newHandler(newTestMonitor(told), "", onLoopback)
	up := func() bool {
		return strings.Contains(body(t, get(t, handler, "/metrics")), "\npc4patroni_backend_up 1\n")
	}
	if !up() {
		t.Error("a connected backend is not up")
	}
	told.status.Backends["etcd other"] = engine.BackendStatus{Err: errors.New("refused")}
	if up() {
		t.Error("one of two backends is away, and yet they are up")
	}
	told.status.Backends = nil
	if up() {
		t.Error("no backend is up")
	}
}

// TestMetricsOfResources: a resource has its counters from the first scrape on,
// and none once it is gone.
func TestMetricsOfResources(t *testing.T) {
	told := &toldEngine{status: engine.Status{Backends: connected(), Resources: []engine.ResourceStatus{
		{Name: "a", Dest: "/a", State: engine.InSync, Checks: true}, {Name: "b", Dest: "/b", State: engine.InSync},
	}}}
	handler := newHandler(newTestMonitor(told), "", onLoopback)
	text := body(t, get(t, handler, "/metrics"))
	for _, line := range []string{`pc4patroni_command_failures_total{command="check",resource="a"} 0`, `pc4patroni_renders_total{resource="b",result="success"} 0`} {
		if !strings.Contains(text, line) {
			t.Errorf("%s is missing", line)
		}
	}
	if strings.Contains(text, `command="reload"`) {
		t.Error("there are metrics of a command that nobody has")
	}
	told.status.Resources = told.status.Resources[1:]
	if text := body(t, get(t, handler, "/metrics")); strings.Contains(text, `resource="a"`) || !strings.Contains(text, `resource="b"`) {
		t.Errorf("a is gone and b is not, but the metrics are\n%s", text)
	}
}

// TestMetricsOfOddNames: a resource file may have any name, and a scrape must
// not fail because of one.
func TestMetricsOfOddNames(t *testing.T) {
	told := &toldEngine{status: engine.Status{Backends: connected(), Resources: []engine.ResourceStatus{
		{Name: "a\xff", Dest: "/a", State: engine.InSync}, {Name: "a?", Dest: "/b", State: engine.Held}, {Name: "q\"\n", Dest: "/c"},
	}}}
	response := get(t, newHandler(newTestMonitor(told), "", onLoopback), "/metrics")
	text := body(t, response)
	if response.StatusCode != 200 || !strings.Contains(text, `pc4patroni_resource_in_sync{resource="a?"} 0`) || !strings.Contains(text, `{resource="q\"\n"} 0`) {
		t.Errorf("%s\n%s", response.Status, text)
	}
}

// TestMetricsOfOddClusters: a scrape must not fail because a scope that cannot be
// used looks like another once it is printable. The worse of the two counts.
func TestMetricsOfOddClusters(t *testing.T) {
	for odd, printed := range map[string]string{"my db": "my_db", "my\xffdb": "my?db"} {
		keys := threeNodes(odd)
		maps.Copy(keys, threeNodes(printed))
		maps.Copy(keys, threeNodes("well"))
		told := &toldEngine{status: engine.Status{Backends: connected()}, keys: []engine.Keys{{Resource: "a", Backend: "etcd a", Values: keys}}}
		response := get(t, newHandler(newTestMonitor(told), "", onLoopback), "/metrics")
		text := body(t, response)
		for _, want := range []string{printed + `"} 0`, `well"} 1`} {
			if !strings.Contains(text, `pc4patroni_cluster_has_primary{backend="etcd a",cluster="/service/`+want+"\n") {
				t.Errorf("%q: %s, no %s in\n%s", odd, response.Status, want, text)
			}
		}
	}
}

// TestMonitoringPage compares docs/monitoring.md with the metrics: each has one
// row in the table, with its labels, and no row is about anything else.
func TestMonitoringPage(t *testing.T) {
	data, err := os.ReadFile("../../docs/monitoring.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(pc4patroni_[a-z_]+)(?:\\{([a-z, ]+)\\})?` \\|").FindAllStringSubmatch(string(data), -1) {
		if _, twice := rows[row[1]]; twice {
			t.Errorf("%s has more than one row", row[1])
		}
		rows[row[1]] = row[2]
	}
	want := map[string]string{}
	pattern := regexp.MustCompile(`fqName: "([^"]+)".*variableLabels: \{([^}]*)\}`)
	descriptions := make(chan *prometheus.Desc, 100)
	m := newTestMonitor(&toldEngine{})
	for _, c := range []prometheus.Collector{m, m.seen.latency} {
		c.Describe(descriptions)
	}
	close(descriptions)
	for d := range descriptions {
		parts := pattern.FindStringSubmatch(d.String())
		if parts == nil {
			t.Fatalf("cannot take %s apart", d)
		}
		want[parts[1]] = strings.ReplaceAll(parts[2], ",", ", ")
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("rows of docs/monitoring.md (-want +got):\n%s", diff)
	}
	for _, m := range regexp.MustCompile(`pc4patroni_[a-z_]+`).FindAllString(string(data), -1) {
		base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(m, "_bucket"), "_sum"), "_count")
		if _, ok := want[base]; !ok {
			t.Errorf("%s is mentioned, but there is no such metric", m)
		}
	}
}

// TestClusterMetrics: who leads can be alerted on, and a standby cluster is no alert.
func TestClusterMetrics(t *testing.T) {
	keys := threeNodes("batman")
	leaderless := threeNodes("joker")
	delete(leaderless, "/service/joker/leader")
	maps.Copy(keys, leaderless)
	standby := threeNodes("robin")
	standby["/service/robin/config"] = `{"standby_cluster":{"host":"10.1.0.1"}}`
	maps.Copy(keys, standby)
	keys["/service/part/leader"] = "db1" // its members are not read
	outdated := engine.Status{Backends: connected(), Outdated: true}
	handler := newHandler(newTestMonitor(&toldEngine{status: outdated, keys: []engine.Keys{{Resource: "a", Backend: "etcd a", Values: keys}}}), "", onLoopback)
	var got []string
	for line := range strings.Lines(body(t, get(t, handler, "/metrics"))) {
		if strings.HasPrefix(line, "pc4patroni_cluster") || strings.HasPrefix(line, "pc4patroni_config") {
			got = append(got, line)
		}
	}
	want := []string{
		"pc4patroni_cluster_has_primary{backend=\"etcd a\",cluster=\"/service/batman\"} 1\n",
		"pc4patroni_cluster_has_primary{backend=\"etcd a\",cluster=\"/service/joker\"} 0\n",
		"pc4patroni_config_outdated 1\n",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}
