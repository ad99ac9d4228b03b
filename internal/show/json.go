package show

import (
	"bytes"
	"encoding/json"

	"pc4patroni/funcs/patroni"
	"pc4patroni/internal/report"
	"pc4patroni/resource/engine"
)

// shownJSON is what -show prints for programs. Fields may be added, never
// removed.
type shownJSON struct {
	Clusters  []json.RawMessage `json:"clusters"`
	Resources []resourceJSON    `json:"resources"`
}

// resourceJSON is a resource for programs. Members are named; they stand in
// full in the clusters.
type resourceJSON struct {
	Name    string   `json:"name"`
	File    string   `json:"file"`
	Src     string   `json:"src"`
	Dest    string   `json:"dest"`
	Backend string   `json:"backend"`
	Prefix  string   `json:"prefix"`
	Paths   []string `json:"paths"`
	// Keys is how many keys the template sees, and Sees the clusters that they
	// make.
	Keys int        `json:"keys"`
	Sees []seenJSON `json:"sees"`
	// State is "in sync", "pending" (it would change), "held", "failed" or
	// "waiting" (the backend was not read).
	State      string      `json:"state"`
	Error      string      `json:"error"`
	ReloadOwed bool        `json:"reload_owed"`
	Change     *changeJSON `json:"change"`
}

// seenJSON is a cluster as the template functions give it to one resource.
type seenJSON struct {
	Path          string     `json:"path"`
	Scope         string     `json:"scope"`
	Group         *int       `json:"group"`
	Primary       *string    `json:"primary"`
	Promoted      *string    `json:"promoted"`
	StandbyLeader *string    `json:"standby_leader"`
	Readers       []string   `json:"readers"`
	Groups        []seenJSON `json:"groups"`
}

// changeJSON is what would change.
type changeJSON struct {
	New          bool     `json:"new"`
	LinesRemoved int      `json:"lines_removed"`
	LinesAdded   int      `json:"lines_added"`
	Metadata     []string `json:"metadata"`
	Reload       string   `json:"reload"`
}

// writeJSON prints for programs.
func (f *Findings) WriteJSON(w *bytes.Buffer) error {
	shown := shownJSON{Clusters: []json.RawMessage{}, Resources: []resourceJSON{}}
	for _, c := range f.Clusters {
		text, err := report.ClusterJSON(c.Backend, c.Cluster)
		if err != nil {
			return err
		}
		shown.Clusters = append(shown.Clusters, text)
	}
	for _, r := range f.Resources {
		shown.Resources = append(shown.Resources, r.json())
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(shown)
}

func (v *Resource) json() resourceJSON {
	j := resourceJSON{
		Name: v.Result.Name, File: v.Result.File, Dest: v.Result.Dest, Paths: []string{}, Keys: v.keys, Sees: []seenJSON{},
		State: v.Result.State.String(), ReloadOwed: v.Result.ReloadPending,
	}
	if v.Result.Err != nil {
		j.Error = v.Result.Err.Error()
	}
	if r := v.Declared; r != nil {
		j.Src, j.Backend, j.Prefix, j.Paths = r.Src, r.Backend, r.Prefix, r.Paths
	}
	for _, c := range v.clusters {
		j.Sees = append(j.Sees, seen(c))
	}
	if change := v.Result.Change; change != nil {
		j.Change = &changeJSON{New: change.New, Metadata: append([]string{}, change.Metadata...), Reload: change.Reload}
		j.Change.LinesRemoved, j.Change.LinesAdded = LineChanges(change)
	}
	return j
}

func seen(c *patroni.Cluster) seenJSON {
	j := seenJSON{
		Path: c.Path, Scope: c.Scope, Primary: memberName(c.Primary), Promoted: memberName(c.Promoted()),
		StandbyLeader: memberName(c.StandbyLeader), Readers: []string{}, Groups: []seenJSON{},
	}
	if c.GroupNumber >= 0 {
		j.Group = &c.GroupNumber
	}
	for _, m := range c.Readers {
		j.Readers = append(j.Readers, m.Name)
	}
	for _, group := range c.Groups {
		j.Groups = append(j.Groups, seen(group))
	}
	return j
}

func memberName(m *patroni.Member) *string {
	if m == nil {
		return nil
	}
	return &m.Name
}

// LineChanges counts the lines that a diff would show.
func LineChanges(change *engine.Change) (removed, added int) {
	hunks, _ := report.Diff(change.Old, change.Now)
	return report.LineChanges(hunks)
}
