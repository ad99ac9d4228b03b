package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pc4patroni/internal/proctest"
)

// promtool runs a command of promtool, which must succeed.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	out := proctest.Invoke(t, nil, append([]string{proctest.Program("promtool")}, args...)...)
	if out.Code != 0 || !strings.Contains(out.Stdout, "SUCCESS") {
		t.Errorf("promtool %s: status %d\n%s%s", args, out.Code, out.Stdout, out.Stderr)
	}
}

// TestAlertRules has Prometheus check and test the rules.
func TestAlertRules(t *testing.T) {
	proctest.Need(t, "promtool")
	dir := proctest.Repository(t) + "/packaging/monitoring"
	promtool(t, "check", "rules", dir+"/alerts.yml")
	promtool(t, "test", "rules", dir+"/alerts_test.yml")
}

// TestAlertsAreExplained wants a section of docs/alerts.md, and a unit test, for each alert.
func TestAlertsAreExplained(t *testing.T) {
	root := proctest.Repository(t)
	named := func(pattern string, elem ...string) []string {
		var names []string
		for _, found := range regexp.MustCompile(pattern).FindAllStringSubmatch(proctest.Read(t, append([]string{root}, elem...)...), -1) {
			names = append(names, found[1])
		}
		slices.Sort(names)
		return slices.Compact(names)
	}
	rules := named(`(?m)^ *- alert: (\w+)$`, "packaging", "monitoring", "alerts.yml")
	if len(rules) == 0 {
		t.Fatal("alerts.yml holds no alert")
	}
	if explained := named(`(?m)^## (\w+)$`, "docs", "alerts.md"); !slices.Equal(rules, explained) {
		t.Errorf("docs/alerts.md explains %q, alerts.yml holds %q", explained, rules)
	}
	// An alert fires in a test if its labels are expected.
	if fired := named(`alertname: (\w+)\n +exp_alerts`, "packaging", "monitoring", "alerts_test.yml"); !slices.Equal(rules, fired) {
		t.Errorf("%q fire in alerts_test.yml, alerts.yml holds %q", fired, rules)
	}
}

var metricName = regexp.MustCompile(`pc4patroni_\w+`)

// TestMonitoringKnowsMetrics holds the alerts and the dashboard to the metrics that the
// program serves: no other, and none left out.
func TestMonitoringKnowsMetrics(t *testing.T) {
	dir, args := statusSite(t, "true")
	s := proctest.Launch(t, dir, "pc4patroni", proctest.Account{}, nil, append(args, "-listen", "127.0.0.1:0")...)
	base := "http://" + address(t, s)
	// Once it is ready it has something to say of each metric.
	proctest.Eventually(t, 30*time.Second, "the program is ready", func() error {
		if status, text, err := fetch(t.Context(), base+"/readyz"); err != nil || status != 200 {
			return fmt.Errorf("/readyz: status %d, %s, %w", status, text, err)
		}
		return nil
	})
	status, metrics, err := fetch(t.Context(), base+"/metrics")
	if err != nil || status != 200 {
		t.Fatalf("/metrics: status %d, %v", status, err)
	}
	served := map[string]bool{}
	for _, found := range regexp.MustCompile(`(?m)^# TYPE (pc4patroni_\w+) `).FindAllStringSubmatch(metrics, -1) {
		served[found[1]] = true
	}
	used := map[string]bool{}
	for _, name := range []string{"alerts.yml", "dashboard.json"} {
		for _, metric := range metricName.FindAllString(proctest.Read(t, proctest.Repository(t), "packaging", "monitoring", name), -1) {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				metric = strings.TrimSuffix(metric, suffix)
			}
			used[metric] = true
		}
	}
	if got, want := slices.Sorted(maps.Keys(used)), slices.Sorted(maps.Keys(served)); !slices.Equal(got, want) {
		t.Errorf("alerts and dashboard use\n%q, the program serves\n%q", got, want)
	}
}

// TestDashboardExpressions has Prometheus parse what the dashboard asks.
func TestDashboardExpressions(t *testing.T) {
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	text := proctest.Read(t, proctest.Repository(t), "packaging", "monitoring", "dashboard.json")
	if err := json.Unmarshal([]byte(text), &dashboard); err != nil {
		t.Fatal(err)
	}
	rules, count := "groups:\n- name: dashboard\n  rules:\n", 0
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			// Grafana puts a duration there.
			rules += fmt.Sprintf("  - record: panel%d\n    expr: %q\n", count, strings.ReplaceAll(target.Expr, "$__rate_interval", "5m"))
			count++
		}
	}
	if count == 0 {
		t.Fatal("the dashboard asks for nothing")
	}
	proctest.Need(t, "promtool")
	promtool(t, "check", "rules", proctest.Write(t, rules, proctest.WorkDir(t), "rules.yml"))
}
