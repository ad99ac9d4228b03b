package report

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"text/template"
	"time"
	"unicode/utf8"

	"pc4patroni/resource/engine"
)

func TestSummary(t *testing.T) {
	result := func(name string, state engine.State, err error) engine.ResourceStatus {
		return engine.ResourceStatus{Name: name, File: name + ".toml", Dest: "/etc/" + name, State: state, Err: err}
	}
	broken := func(name, text string) engine.ResourceStatus {
		return engine.ResourceStatus{Name: name, File: name + ".toml", State: engine.Failed, Err: errors.New(text)}
	}
	owing := result("haproxy", engine.Changed, nil)
	owing.ReloadPending = true
	failed := result("haproxy", engine.Failed, errors.New("reload failed: exit status 1"))
	failed.ReloadPending = true
	since := time.Date(2025, 11, 22, 20, 41, 7, 0, time.Local)

	tests := []struct {
		name   string
		status engine.Status
		want   string
	}{
		{"nothing yet", engine.Status{}, "0 resources in sync"},
		{"one", engine.Status{Resources: []engine.ResourceStatus{result("a", engine.InSync, nil)}}, "1 resource in sync"},
		{"all", engine.Status{Resources: []engine.ResourceStatus{result("a", engine.InSync, nil), result("b", engine.Changed, nil)}}, "2 resources in sync"},
		{"held", engine.Status{Resources: []engine.ResourceStatus{result("a", engine.InSync, nil), result("pgbouncer", engine.Held, errors.New("no primary"))}},
			"1 of 2 resources in sync; pgbouncer held: no primary"},
		{"held, as a template says it", engine.Status{Resources: []engine.ResourceStatus{result("pgbouncer", engine.Held, heldTemplate())}},
			"0 of 1 resource in sync; pgbouncer held: no primary in /service/batman"},
		{"reload owed", engine.Status{Resources: []engine.ResourceStatus{owing}}, "0 of 1 resource in sync; haproxy reload pending"},
		{"reload failed", engine.Status{Resources: []engine.ResourceStatus{failed}}, "0 of 1 resource in sync; haproxy failed: reload failed: exit status 1"},
		{"broken", engine.Status{Resources: []engine.ResourceStatus{broken("b", "b.toml: line 3: bad")}},
			"0 resources in sync; b cannot be used: b.toml: line 3: bad"},
		{"broken, but going on as it was", engine.Status{Resources: []engine.ResourceStatus{result("a", engine.InSync, nil), result("b", engine.InSync, nil), broken("b", "bad")}},
			"2 resources in sync; b cannot be used: bad"},
		{"many", engine.Status{Resources: []engine.ResourceStatus{broken("a", "1"), broken("b", "2"), broken("c", "3"), broken("d", "4"), broken("e", "5")}},
			"0 resources in sync; a cannot be used: 1; b cannot be used: 2; c cannot be used: 3; and 2 more"},
		{"away", engine.Status{
			Resources: []engine.ResourceStatus{result("a", engine.InSync, nil)},
			Backends: map[string]engine.BackendStatus{
				"etcd z":    {Err: errors.New("refused"), Since: since},
				"etcd here": {Connected: true, Err: errors.New("was refused")},
				"etcd new":  {},
				"etcd a":    {Err: errors.New("refused"), Since: since},
			}},
			"1 resource in sync; etcd a away since 2025-11-22 20:41:07: refused; etcd z away since 2025-11-22 20:41:07: refused"},
		{"line breaks", engine.Status{Resources: []engine.ResourceStatus{broken("a\nREADY=1", "b\nSTOPPING=1\r\n\x1b[31m\xff")}},
			"0 resources in sync; a\\nREADY=1 cannot be used: b"},
		{"long", engine.Status{Resources: []engine.ResourceStatus{broken("a", strings.Repeat("ä", 1000))}},
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
	status := engine.Status{Backends: map[string]engine.BackendStatus{}}
	for i := range 100 {
		name := fmt.Sprint(i, strings.Repeat("ß", 1000))
		status.Resources = append(status.Resources, engine.ResourceStatus{Name: name, State: engine.Failed, Err: errors.New(name)})
		status.Backends[name] = engine.BackendStatus{Err: errors.New(name)}
	}
	got := Summary(status)
	if len(got) > 4096-100 || !utf8.ValidString(got) || !strings.HasSuffix(got, "...") {
		t.Errorf("%d bytes, valid UTF-8: %v, end: %q", len(got), utf8.ValidString(got), got[max(0, len(got)-10):])
	}
}

// heldTemplate is the error of a template whose cluster lacks something.
func heldTemplate() error {
	primary := func() (string, error) { return "", errors.New("no primary in /service/batman") }
	parsed := template.Must(template.New("p.tmpl").Funcs(template.FuncMap{"primary": primary}).Parse("{{primary}}"))
	return fmt.Errorf("p.tmpl: line 1: %w", parsed.Execute(io.Discard, nil))
}
