package statuspage

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"pc4patroni/funcs/patroni"
	"pc4patroni/internal/report"
)

// Measures of a picture, in pixels.
const (
	boxWidth   = 168
	boxHeight  = 44
	columnGap  = 140 // has room for a lag in words
	rowGap     = 14
	boxLetters = 18 // of a name, that fit into a box
	boxSmall   = 26 // the same of the words below it
	// membersDrawn is up to how many members a picture says more than a table.
	membersDrawn = 40
)

// picture shows who follows whom: boxes from left to right, a line from each
// member to the one that it replicates from.
type picture struct {
	Width, Height int
	Label         string // the same in words
	Boxes         []box
	Lines         []line
}

type box struct {
	X, Y         int
	Name, Full   string // Full is the name if Name is cut
	Words        string // the role, and the state unless it is as it should be
	Leader, Weak bool   // Weak is not fit to be used now
}

type line struct {
	Path       string // of SVG
	LagX, LagY int
	Lag        string // "" if there is none
	Broken     bool   // no replication along it that is known
}

// draw lays the members of a cluster out. Members that follow nobody come
// first, the leader before the others. Some clusters have no picture.
func draw(c *patroni.Cluster) *picture {
	if len(c.Members) == 0 || len(c.Members) > membersDrawn {
		return nil
	}
	d := drawing{picture: &picture{}, followers: map[*patroni.Member][]*patroni.Member{}, at: map[*patroni.Member]*box{}}
	var roots []*patroni.Member
	for _, m := range c.Members {
		if up := upstream(m); up != nil {
			d.followers[up] = append(d.followers[up], m)
		} else {
			roots = append(roots, m)
		}
	}
	slices.SortStableFunc(roots, func(a, b *patroni.Member) int {
		switch {
		case a.IsLeader == b.IsLeader:
			return 0
		case a.IsLeader:
			return -1
		}
		return 1
	})
	for _, m := range roots {
		d.place(m, 0)
	}
	d.connect()
	d.Label = c.Scope + ": " + strings.Join(d.sentences, "; ")
	return d.picture
}

// upstream is the member that m replicates from as far as that is known: none
// for one that cannot be used, nor along a circle of tags.
func upstream(m *patroni.Member) *patroni.Member {
	if m.Problem != "" {
		return nil
	}
	up := m.Upstream()
	for at, steps := up, 0; at != nil; at, steps = at.Upstream(), steps+1 {
		if at == m || steps > 1000 {
			return nil
		}
	}
	return up
}

// drawing is a picture while it is made.
type drawing struct {
	*picture
	followers map[*patroni.Member][]*patroni.Member
	at        map[*patroni.Member]*box
	order     []*patroni.Member
	bottom    int // of what is placed so far
	sentences []string
}

// place puts m and those that follow it below everything so far.
func (d *drawing) place(m *patroni.Member, column int) {
	if d.at[m] != nil {
		return
	}
	b := &box{
		X:    1 + column*(boxWidth+columnGap),
		Name: fit(m.Name, boxLetters), Words: fit(boxWords(m), boxSmall), Leader: m.IsLeader, Weak: report.Weak(m),
	}
	if b.Name != m.Name {
		b.Full = m.Name
	}
	d.at[m] = b
	d.order = append(d.order, m)
	top := d.bottom
	for _, follower := range d.followers[m] {
		d.place(follower, column+1)
	}
	if d.bottom == top {
		d.bottom += boxHeight + rowGap
	}
	b.Y = 1 + (top+d.bottom-rowGap-boxHeight)/2
	d.Width = max(d.Width, b.X+boxWidth+1)
	d.Height = max(d.Height, d.bottom-rowGap+2)
}

// fit cuts a text that is too long for its place.
func fit(text string, letters int) string {
	if utf8.RuneCountInString(text) <= letters {
		return text
	}
	return string([]rune(text)[:letters-1]) + "…"
}

// connect draws the lines and says the same in words.
func (d *drawing) connect() {
	for _, m := range d.order {
		b := d.at[m]
		d.Boxes = append(d.Boxes, *b)
		up := upstream(m)
		if up == nil {
			d.sentences = append(d.sentences, strings.TrimSpace(m.Name+" "+b.Words))
			continue
		}
		from := d.at[up]
		x1, y1, x2, y2 := from.X+boxWidth, from.Y+boxHeight/2, b.X, b.Y+boxHeight/2
		bend := x1 + columnGap/3
		d.Lines = append(d.Lines, line{
			Path:   fmt.Sprintf("M%d %dC%d %d %d %d %d %dH%d", x1, y1, x1+columnGap/6, y1, x1+columnGap/6, y2, bend, y2, x2),
			LagX:   (bend + x2) / 2,
			LagY:   y2 - 6,
			Lag:    lagWords(m),
			Broken: !replicates(m),
		})
		sentence := m.Name + " follows " + up.Name
		if lag := lagWords(m); lag != "" {
			sentence += ", " + lag
		}
		d.sentences = append(d.sentences, sentence)
	}
}

// boxWords is the role, or the state unless it is as it should be.
func boxWords(m *patroni.Member) string {
	if m.Problem != "" {
		return "unusable"
	}
	words := report.Role(m)
	switch state := m.DisplayState(); {
	case m.IsLeader && m.Running && !m.Promoted && m.DisplayRole() == "Leader":
		words += ", not promoted yet"
	case state != patroni.StateRunning && state != "streaming":
		return state
	}
	return words
}

// replicates tells whether the member says that it receives what is written.
// Patroni before 3.0.4 does not say.
func replicates(m *patroni.Member) bool {
	return m.Running && (m.ReplicationState == "" || m.ReplicationState == "streaming")
}

// lagWords is what stands at a line: nothing where there is no lag.
func lagWords(m *patroni.Member) string {
	switch {
	case m.Lag == 0:
		return ""
	case !m.Lag.Known():
		return "lag unknown"
	}
	return report.Lag(m.Lag) + " behind"
}
