package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	clientv3 "go.etcd.io/etcd/client/v3"

	"pc4patroni/internal/proctest"
)

// replayed is where the recorded states are put side by side, each as a scope of its
// own: nothing moves there, so that three programs can be asked about each of them.
const replayed = "/replayed"

// routes are what the template functions say of a cluster.
type routes struct {
	Scope, Primary, Promoted, Leader, StandbyLeader string
	Members, Replicas, Readers, WithinLag           []string
	SyncStandbys, Asynchronous                      []string
	Paused                                          bool
}

// routesTemplate prints the routes of every cluster below the prefix, one a line. The
// functions are asked, not the fields of the same meaning, where both exist.
const routesTemplate = `{{range $c := clusters}}
{{- $primary := ""}}{{with .Primary}}{{$primary = (primary $c).Name}}{{end}}
{{- $promoted := ""}}{{with .Promoted}}{{$promoted = (promoted $c).Name}}{{end}}
{{- $leader := ""}}{{with leader $c}}{{$leader = .Name}}{{end}}
{{- $standby := ""}}{{with standbyLeader $c}}{{$standby = .Name}}{{end}}
{{- $async := list}}{{range readers $c}}{{if not .InSync}}{{$async = append $async .Name}}{{end}}{{end}}
{{- toJson (dict "scope" .Scope "primary" $primary "promoted" $promoted
  "leader" $leader "standbyLeader" $standby
  "members" (names (members $c)) "replicas" (names (replicas $c)) "readers" (names (readers $c))
  "withinLag" (names (readers $c | maxLag "` + lagLimit + `")) "syncStandbys" (names (syncStandbys $c))
  "asynchronous" $async "paused" .Paused)}}
{{end}}`

// shownCluster is a cluster as "pc4patroni -show -o json" prints it, as far as it is
// compared.
type shownCluster struct {
	Scope         string        `json:"scope"`
	Primary       string        `json:"primary"`
	Promoted      string        `json:"promoted"`
	Leader        string        `json:"leader"`
	StandbyLeader string        `json:"standby_leader"`
	Replicas      []string      `json:"replicas"`
	Readers       []string      `json:"readers"`
	SyncStandbys  []string      `json:"sync_standbys"`
	Paused        bool          `json:"paused"`
	Optime        int64         `json:"optime"`
	SyncMode      string        `json:"sync_mode"`
	Members       []shownMember `json:"members"`
}

type shownMember struct {
	Name           string         `json:"name"`
	Addr           string         `json:"addr"`
	DisplayRole    string         `json:"display_role"`
	DisplayState   string         `json:"display_state"`
	Timeline       int64          `json:"timeline"`
	IsLeader       bool           `json:"is_leader"`
	ReceiveLag     *int64         `json:"receive_lag"`
	PendingRestart bool           `json:"pending_restart"`
	Tags           map[string]any `json:"tags"`
}

// listedMember is a member as "patronictl list -f json" prints it; what it has nothing
// to say about is left out.
type listedMember struct {
	Member  string
	Host    string
	Role    string
	State   string
	TL      any
	Lag     any            `json:"Lag in MB"`
	Pending string         `json:"Pending restart"`
	Tags    map[string]any `json:"Tags"`
}

// listed is what patronictl says of the scopes of a namespace.
func (c *cluster) listed(t *testing.T, namespace string, scopes ...string) [][]listedMember {
	t.Helper()
	config := proctest.Write(t, fmt.Sprintf("namespace: %s\netcd3: {hosts: [%q]}\n", namespace, proctest.Loopback(c.etcd.port)), c.dir, "patronictl.yml")
	argv := append([]string{proctest.Program("patronictl"), "-c", config, "list", "-f", "json"}, scopes...)
	got := proctest.Invoke(t, []string{"HOME=" + c.dir}, argv...)
	if got.Code != 0 {
		t.Fatalf("patronictl list: exit status %d\n%s", got.Code, got.Stderr)
	}
	var all [][]listedMember
	for dec := json.NewDecoder(strings.NewReader(got.Stdout)); ; {
		var one []listedMember
		err := dec.Decode(&one)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("patronictl list: %v in\n%s", err, got.Stdout)
		}
		all = append(all, one)
	}
	if len(all) != len(scopes) {
		t.Fatalf("patronictl listed %d clusters of %d", len(all), len(scopes))
	}
	return all
}

// shown is what "pc4patroni -show -o json" says of all clusters below a prefix.
func (c *cluster) shown(t *testing.T, prefix string) []shownCluster {
	t.Helper()
	got := proctest.Apply(t, 0, "-show", "-o", "json", "-node", c.etcd.url, "-prefix", prefix)
	var all struct{ Clusters []shownCluster }
	if err := json.Unmarshal([]byte(got.Stdout), &all); err != nil {
		t.Fatalf("-show -o json: %v", err)
	}
	return all.Clusters
}

// rendered is what the template functions say of all clusters below a prefix.
func (c *cluster) rendered(t *testing.T, prefix string) []routes {
	t.Helper()
	dir := proctest.WorkDir(t)
	dest := filepath.Join(dir, "routes")
	proctest.Write(t, fmt.Sprintf("[template]\nsrc = \"routes.tmpl\"\ndest = %q\nprefix = %q\n", dest, prefix), dir, "conf.d", "routes.toml")
	proctest.Write(t, routesTemplate, dir, "templates", "routes.tmpl")
	proctest.Apply(t, 0, "-onetime", "-confdir", dir, "-node", c.etcd.url)
	file, err := os.Open(dest)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []routes
	for dec := json.NewDecoder(file); ; {
		var one routes
		err := dec.Decode(&one)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("the rendered routes: %v", err)
		}
		all = append(all, one)
	}
}

// asListed translates a member to the words of patronictl before 4.1, which knows one
// lag, that of what is received, in whole MiB.
func (m shownMember) asListed() listedMember {
	words := strings.Fields(m.DisplayRole)
	for i, word := range words {
		words[i] = strings.ToUpper(word[:1]) + word[1:]
	}
	l := listedMember{Member: m.Name, Host: m.Addr, Role: strings.Join(words, " "), State: m.DisplayState}
	if m.Timeline > 0 {
		l.TL = float64(m.Timeline)
	}
	if !m.IsLeader {
		l.Lag = "unknown"
		if m.ReceiveLag != nil {
			l.Lag = math.RoundToEven(float64(*m.ReceiveLag) / (1 << 20))
		}
	}
	if m.PendingRestart {
		l.Pending = "*"
	}
	if len(m.Tags) > 0 {
		l.Tags = m.Tags
	}
	return l
}

// compareLists compares a cluster with what patronictl says of the same keys, and tells
// the differences by kind.
func compareLists(t *testing.T, where string, ours shownCluster, theirs []listedMember, found differences) {
	t.Helper()
	mine := []listedMember{}
	for _, m := range ours.Members {
		l := m.asListed()
		i := slices.IndexFunc(theirs, func(other listedMember) bool { return other.Member == l.Member })
		if i >= 0 && theirs[i].Tags == nil {
			theirs[i].Tags = l.Tags
			if len(l.Tags) > 0 {
				t.Errorf("%s: %s has the tags %v, and patronictl shows none", where, l.Member, l.Tags)
			}
		}
		// Without the leader's position patronictl takes it for 0, and nobody for late.
		if i >= 0 && ours.Optime == 0 && l.Lag == "unknown" && theirs[i].Lag == 0.0 {
			found.add(difference{kind: noOptime, where: where, member: l.Member})
			l.Lag = 0.0
		}
		if i >= 0 && ours.SyncMode == "off" && l.Role == "Replica" && theirs[i].Role == "Sync Standby" {
			found.add(difference{kind: staleSync, where: where, member: l.Member})
			l.Role = theirs[i].Role
		}
		mine = append(mine, l)
	}
	if diff := cmp.Diff(theirs, mine); diff != "" {
		t.Errorf("%s: -show differs from patronictl (-patronictl +show):\n%s", where, diff)
	}
}

// compareLive compares -show and patronictl on the keys that Patroni is using, as soon as
// these hold still for as long as both take.
func compareLive(t *testing.T, c *cluster, s *sampler, where string, found differences) {
	t.Helper()
	keys := func() (map[string]string, error) {
		got, err := s.client.Get(t.Context(), namespace+c.scope+"/", clientv3.WithPrefix())
		if err != nil {
			return nil, err
		}
		values := map[string]string{}
		for _, kv := range got.Kvs {
			values[string(kv.Key)] = string(kv.Value)
		}
		return values, nil
	}
	proctest.Eventually(t, 60*time.Second, "the keys hold still for -show and patronictl", func() error {
		before, err := keys()
		if err != nil {
			return err
		}
		shown, listed := c.shown(t, namespace+c.scope), c.listed(t, namespace, c.scope)
		after, err := keys()
		if err != nil {
			return err
		}
		if diff := cmp.Diff(before, after); diff != "" {
			return fmt.Errorf("they changed meanwhile:\n%s", diff)
		}
		if len(shown) != 1 {
			t.Fatalf("%s: -show prints %d clusters", where, len(shown))
		}
		compareLists(t, where, shown[0], listed[0], found)
		return nil
	})
}

// replay puts the snapshots below a prefix of their own and returns what the template
// functions say of each. Along the way -show and patronictl are asked about all of
// them and compared with that.
func replay(t *testing.T, c *cluster, name string, snapshots []snapshot, found differences) []routes {
	t.Helper()
	client := c.etcd.client(t, nil, "", "")
	prefix := replayed + "/" + name
	var scopes []string
	var ops []clientv3.Op
	flush := func() {
		t.Helper()
		if _, err := client.Txn(t.Context()).Then(ops...).Commit(); err != nil {
			t.Fatal(err)
		}
		ops = ops[:0]
	}
	for i, s := range snapshots {
		scope := fmt.Sprintf("at%05d", i)
		scopes = append(scopes, scope)
		for key, value := range s.keys {
			// etcd takes no more than 128 in one transaction.
			if ops = append(ops, clientv3.OpPut(prefix+"/"+scope+"/"+key, value)); len(ops) == 100 {
				flush()
			}
		}
	}
	if len(ops) > 0 {
		flush()
	}

	all := c.rendered(t, prefix)
	shown := c.shown(t, prefix)
	listed := c.listed(t, prefix, scopes...)
	if len(all) != len(scopes) || len(shown) != len(scopes) {
		t.Fatalf("%d states were recorded, templates see %d clusters and -show %d", len(scopes), len(all), len(shown))
	}
	for i, s := range snapshots {
		where := fmt.Sprintf("%s, revision %d", name, s.rev)
		got, want := shown[i], all[i]
		if want.Scope != scopes[i] || got.Scope != scopes[i] {
			t.Fatalf("%s: cluster %d is %q to templates and %q to -show, want %q", where, i, want.Scope, got.Scope, scopes[i])
		}
		fromShow := routes{Scope: got.Scope, Primary: got.Primary, Promoted: got.Promoted, Leader: got.Leader, StandbyLeader: got.StandbyLeader,
			Replicas: got.Replicas, Readers: got.Readers, SyncStandbys: got.SyncStandbys, Paused: got.Paused, Members: []string{},
			// -show leaves these to its reader.
			WithinLag: want.WithinLag, Asynchronous: want.Asynchronous}
		for _, m := range got.Members {
			fromShow.Members = append(fromShow.Members, m.Name)
		}
		if diff := cmp.Diff(want, fromShow, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: -show differs from the template functions (-template +show):\n%s", where, diff)
		}
		compareLists(t, where, got, listed[i], found)
	}
	return all
}
