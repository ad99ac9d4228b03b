package report

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pc4patroni/resource/engine"
)

func TestEventLog(t *testing.T) {
	noon := time.Date(2026, 7, 14, 12, 0, 0, 0, time.UTC)
	refused, status1 := errors.New("refused"), errors.New("exit status 1")
	var l EventLog
	for i, ev := range []engine.Event{
		{Kind: engine.BackendUp, Backend: "etcd"},
		{Kind: engine.Received, Backend: "etcd", Count: 3},
		{Kind: engine.Resynced, Backend: "etcd", Reason: "interval"},
		{Kind: engine.Resynced, Backend: "etcd", Reason: "compacted"},
		{Kind: engine.Rendered, Resource: "a"},
		{Kind: engine.Rendered, Resource: "a", Err: errors.New("no primary")},
		{Kind: engine.Failing, Resource: "a", Err: errors.New("no primary"), Held: true},
		{Kind: engine.Rendered, Resource: "a"},
		{Kind: engine.Recovered, Resource: "a"},
		{Kind: engine.Checked, Resource: "a"},
		{Kind: engine.Failing, Resource: "a", Err: errors.New("check failed: exit status 1")},
		{Kind: engine.Reloaded, Resource: "b", Took: 40 * time.Millisecond},
		{Kind: engine.Failing, Resource: "a", Err: errors.New("check failed: exit status 1")},
		{Kind: engine.Reloaded, Resource: "a", Err: status1},
		{Kind: engine.Reloaded, Resource: "a", Took: time.Second},
		// It is told after the reload that followed it.
		{Kind: engine.Installed, Resource: "a", Change: "primary db1 -> db2", After: []byte("password x"), Time: noon.Add(12500 * time.Millisecond)},
		{Kind: engine.Installed, Resource: "b", New: true},
		{Kind: engine.BackendDown, Backend: "etcd", Err: refused},
		{Kind: engine.BackendUp, Backend: "etcd"},
	} {
		if ev.Time.IsZero() {
			ev.Time = noon.Add(time.Duration(i) * time.Second)
		}
		l.Add(ev)
	}
	var got []string
	for _, e := range l.Newest() {
		line := fmt.Sprintf("%s %s%s %s: %s", e.At.Format("05.0"), e.Resource, e.Backend, e.Level, e.Text)
		if e.Count > 1 {
			line += fmt.Sprintf(" (%d since %s)", e.Count, e.Since.Format("05"))
		}
		got = append(got, line)
	}
	want := []string{
		"18.0 etcd ok: back after 1 s",
		"17.0 etcd warn: away: refused",
		"16.0 b ok: file created",
		"14.0 a ok: reloaded in 1 s",
		"13.0 a bad: reload failed: exit status 1",
		"12.5 a ok: file replaced: primary db1 -> db2",
		"12.0 a bad: check failed: exit status 1 (2 since 10)",
		"11.0 b ok: reloaded in 40 ms",
		"08.0 a ok: recovered",
		"06.0 a warn: held: no primary",
		"03.0 etcd ok: read again in full (compacted)",
		"00.0 etcd ok: first read",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestEventLogKeepsTheLast(t *testing.T) {
	var l EventLog
	for i := range MaxEvents + 50 {
		l.Add(engine.Event{Kind: engine.Installed, Resource: fmt.Sprint(i), Time: time.Unix(int64(i), 0)})
	}
	if got := l.Newest(); len(got) != MaxEvents || got[0].Resource != "249" || got[MaxEvents-1].Resource != "50" {
		t.Errorf("%d events from %s to %s", len(got), got[len(got)-1].Resource, got[0].Resource)
	}
}
