package report

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pc4patroni/resource"
)

func TestSummary(t *testing.T) {
	result := func(name string, state resource.State, err error) resource.Result {
		return resource.Result{Name: name, File: name + ".toml", Dest: "/etc/" + name, State: state, Err: err}
	}
	broken := func(name, text string) resource.Result {
		return resource.Result{Name: name, File: name + ".toml", State: resource.Failed, Err: errors.New(text)}
	}
	owing := result("haproxy", resource.Changed, nil)
	owing.ReloadOwed = true
	failed := result("haproxy", resource.Failed, errors.New("reload failed: exit status 1"))
	failed.ReloadOwed = true
	since := time.Date(2025, 11, 22, 20, 41, 7, 0, time.Local)

	tests := []struct {
		name   string
		status resource.Status
		want   string
	}{
		{"nothing yet", resource.Status{}, "0 resources in sync"},
		{"one", resource.Status{Results: []resource.Result{result("a", resource.InSync, nil)}}, "1 resource in sync"},
		{"all", resource.Status{Results: []resource.Result{result("a", resource.InSync, nil), result("b", resource.Changed, nil)}}, "2 resources in sync"},
		{"held", resource.Status{Results: []resource.Result{result("a", resource.InSync, nil), result("pgbouncer", resource.Held, errors.New("no primary"))}},
			"1 of 2 resources in sync; pgbouncer held: no primary"},
		{"reload owed", resource.Status{Results: []resource.Result{owing}}, "0 of 1 resource in sync; haproxy reload pending"},
		{"reload failed", resource.Status{Results: []resource.Result{failed}}, "0 of 1 resource in sync; haproxy failed: reload failed: exit status 1"},
		{"broken", resource.Status{Results: []resource.Result{broken("b", "b.toml: line 3: bad")}},
			"0 resources in sync; b cannot be used: b.toml: line 3: bad"},
		{"broken, but going on as it was", resource.Status{Results: []resource.Result{result("a", resource.InSync, nil), result("b", resource.InSync, nil), broken("b", "bad")}},
			"2 resources in sync; b cannot be used: bad"},
		{"many", resource.Status{Results: []resource.Result{broken("a", "1"), broken("b", "2"), broken("c", "3"), broken("d", "4"), broken("e", "5")}},
			"0 resources in sync; a cannot be used: 1; b cannot be used: 2; c cannot be used: 3; and 2 more"},
		{"away", resource.Status{
			Results: []resource.Result{result("a", resource.InSync, nil)},
			Backends: map[string]resource.BackendStatus{
				"etcd z":    {Err: errors.New("refused"), Since: since},
				"etcd here": {Connected: true, Err: errors.New("was refused")},
				"etcd new":  {},
				"etcd a":    {Err: errors.New("refused"), Since: since},
			}},
			"1 resource in sync; etcd a away since 2025-11-22 20:41:07: refused; etcd z away since 2025-11-22 20:41:07: refused"},
		{"line breaks", resource.Status{Results: []resource.Result{broken("a\nREADY=1", "b\nSTOPPING=1\r\n\x1b[31m\xff")}},
			"0 resources in sync; a READY=1 cannot be used: b"},
		{"long", resource.Status{Results: []resource.Result{broken("a", strings.Repeat("ä", 1000))}},
			"0 resources in sync; a cannot be used: " + strings.Repeat("ä", maxLine) + "..."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Summary(tt.status); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestSummaryFit is about the limit of a message to systemd.
func TestSummaryFit(t *testing.T) {
	status := resource.Status{Backends: map[string]resource.BackendStatus{}}
	for i := range 100 {
		name := fmt.Sprint(i, strings.Repeat("ß", 1000))
		status.Results = append(status.Results, resource.Result{Name: name, State: resource.Failed, Err: errors.New(name)})
		status.Backends[name] = resource.BackendStatus{Err: errors.New(name)}
	}
	got := Summary(status)
	if len(got) > 4096-100 || !utf8.ValidString(got) || !strings.HasSuffix(got, "...") {
		t.Errorf("%d bytes, valid UTF-8: %v, end: %q", len(got), utf8.ValidString(got), got[max(0, len(got)-10):])
	}
}
