package statuspage

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pc4patroni/funcs/patroni"
)

func TestDraw(t *testing.T) {
	member := func(more string) string {
		return `{"conn_url":"postgres://10.0.0.1:5432/p","state":"running","timeline":1,"role":"replica","xlog_location":1000` + more + `}`
	}
	for _, c := range []struct {
		name  string
		keys  map[string]string
		label string
		boxes []string // "X,Y name: words", in the order of the picture
		lines []string // "lag", with ! for a broken one
	}{
		{
			name:  "nobody",
			keys:  map[string]string{"initialize": "1"},
			label: "",
		},
		{
			name: "a cascade",
			keys: map[string]string{
				"leader": "b", "status": `{"optime":1000}`,
				"members/a": member(``), "members/b": member(`,"role":"primary"`), "members/c": member(`,"tags":{"replicatefrom":"a"},"xlog_location":500`),
			},
			label: "s: b leader; a follows b; c follows a, 500 B behind",
			boxes: []string{"1,1 b: leader", "309,1 a: replica", "617,1 c: replica"},
			lines: []string{"", "500 B behind"},
		},
		{
			name: "no leader",
			keys: map[string]string{
				"members/a": member(``), "members/b": member(`,"state":"starting"`), "members/c;": member(``),
			},
			label: "s: a replica; b starting; c? unusable",
			boxes: []string{"1,1 a: replica", "1,59 b: starting", "1,117 c?: unusable"},
		},
		{
			name: "a circle of tags, and a follower that does not run",
			keys: map[string]string{
				"leader": "a", "status": `{"optime":1000}`,
				"members/a": member(`,"role":"replica"`), "members/b": member(`,"tags":{"replicatefrom":"c"}`), "members/c": member(`,"tags":{"replicatefrom":"b"}`),
				"members/d": member(`,"state":"start failed"`),
			},
			label: "s: a leader, not promoted yet; d follows a; b replica; c replica",
			boxes: []string{"1,1 a: leader, not promoted yet", "309,1 d: start failed", "1,59 b: replica", "1,117 c: replica"},
			lines: []string{"!"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := draw(patroni.Decode("/service/s", c.keys))
			if p == nil {
				p = &picture{}
			}
			var boxes, lines []string
			for _, b := range p.Boxes {
				boxes = append(boxes, fmt.Sprintf("%d,%d %s: %s", b.X, b.Y, b.Name, b.Words))
				if b.X+boxWidth > p.Width || b.Y+boxHeight > p.Height {
					t.Errorf("%s is outside of the picture of %d x %d", b.Name, p.Width, p.Height)
				}
			}
			for _, l := range p.Lines {
				lag := l.Lag
				if l.Broken {
					lag += "!"
				}
				lines = append(lines, lag)
			}
			if diff := cmp.Diff([]any{c.label, c.boxes, c.lines}, []any{p.Label, boxes, lines}); diff != "" {
				t.Errorf("picture (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDrawBounds(t *testing.T) {
	keys := map[string]string{}
	for i := range membersDrawn {
		keys[fmt.Sprintf("members/m%03d", i)] = `{"conn_url":"postgres://10.0.0.1:5432/p","state":"running","role":"replica"}`
	}
	if draw(patroni.Decode("/s", keys)) == nil {
		t.Error("no picture")
	}
	keys["members/"+strings.Repeat("x", 100)] = `{}`
	if draw(patroni.Decode("/s", keys)) != nil {
		t.Error("a picture of more than a table can say")
	}
}

func TestFit(t *testing.T) {
	for text, want := range map[string]string{"": "", "abcde": "abcde", "abcdef": "abcd…", "äöüäöü": "äöüä…"} {
		if got := fit(text, 5); got != want {
			t.Errorf("fit(%q) = %q, want %q", text, got, want)
		}
	}
}
