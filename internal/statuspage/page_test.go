package statuspage

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"pc4patroni/resource/engine"
)

// threeNodes are the keys of a cluster whose third node lags.
func threeNodes(scope string) map[string]string {
	at := "/service/" + scope
	member := func(ip, role string, lsn int) string {
		return fmt.Sprintf(`{"conn_url":"postgres://u:geheim@%s:5432/postgres?password=geheim","api_url":"http://%s:8008/patroni",`+
			`"state":"running","role":"%s","xlog_location":%d,"replay_lsn":%d,"receive_lsn":%d,"timeline":3}`, ip, ip, role, lsn, lsn, lsn)
	}
	return map[string]string{
		at + "/initialize":  "7512345678901234567",
		at + "/config":      `{"postgresql":{"authentication":{"superuser":{"password":"geheim"}}}}`,
		at + "/leader":      "db1",
		at + "/status":      `{"optime":117440792}`,
		at + "/members/db1": member("10.0.0.1", "primary", 117440792),
		at + "/members/db2": member("10.0.0.2", "replica", 117440792),
		at + "/members/db3": member("10.0.0.3", "replica", 92274968),
	}
}

// readPage loads the page, wants it to hold nothing that runs or leads away,
// and returns its text and the names of its elements.
func readPage(t *testing.T, m *monitor, query string) (text string, elements []string) {
	t.Helper()
	response := get(t, newHandler(m, "", onLoopback), "/"+query)
	if response.StatusCode != 200 {
		t.Fatalf("%s: %s", response.Status, body(t, response))
	}
	var words []string
	for z := html.NewTokenizer(response.Body); ; {
		switch z.Next() {
		case html.ErrorToken:
			if z.Err() != io.EOF {
				t.Fatal(z.Err())
			}
			return strings.Join(words, "|"), elements
		case html.TextToken:
			if word := strings.TrimSpace(string(z.Text())); word != "" {
				words = append(words, html.UnescapeString(word))
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			token := z.Token()
			elements = append(elements, token.Data)
			for _, a := range token.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" {
					t.Errorf("<%s> has the attribute %s", token.Data, a.Key)
				}
				if leads := strings.ToLower(a.Val); (a.Key == "href" || a.Key == "src") && leads != "data:," && strings.Contains(leads, ":") {
					t.Errorf("<%s> leads to %s", token.Data, a.Val)
				}
			}
		}
	}
}

func wantInOrder(t *testing.T, text string, parts ...string) {
	t.Helper()
	rest := text
	for _, part := range parts {
		_, after, ok := strings.Cut(rest, part)
		if !ok {
			t.Errorf("%q is missing after what comes before it in:\n%s", part, text)
			return
		}
		rest = after
	}
}

func TestPage(t *testing.T) {
	told := exampleEngine()
	told.keys = []engine.Keys{
		{Resource: "good", Backend: "etcd x", Values: threeNodes("batman")},
		{Resource: "held", Backend: "etcd x", Values: threeNodes("batman")},
	}
	text, elements := readPage(t, newTestMonitor(told), "")
	wantInOrder(t, text, "pc4patroni on proxy1", "12:00:00 UTC, 14 July 2026", "broken cannot be used: line 3: bad",
		"held held: no primary", "owing reload pending",
		"Resources|6", "broken|cannot be used", "line 3: bad", "twice|cannot be used",
		"held|held", "owing|reload pending",
		"good|in sync|/etc/good", "Last in sync|11:59:58", "1.5 s ago", "Last change|10:30:00", "90 min ago",
		"Last check|10:30:00|90 min ago|took 250 ms; 4 runs, 1 failed", "Last reload|10:30:00|90 min ago|took 40 ms; 3 runs, none failed",
		"lines added: 1, removed: 1", "@@ -1,2 +1,2 @@", "-server <b>old</b>", `+server new\x1b[2J`,
		"Clusters", "batman", "/service/batman", "db1|leader|db2|replica|db3|replica|24 MiB behind",
		"db1|10.0.0.1:5432|leader|running|3", "db2|10.0.0.2:5432|replica|running|3|0", "db3|10.0.0.3:5432|replica|running|3|24 MiB",
		"Events|7", "10:30:00|90 min ago|good|file replaced", "good|reloaded in 40 ms", "good|check failed: exit status 1",
		"Backend|", "etcd http://10.0.0.9:2379|connected", "Since|11:00:00", "Revision|42", "Changes received|7", "replaced: 2",
		"Version v1.2.3")
	if strings.Count(text, "/service/batman") != 1 {
		t.Error("a cluster of two resources is shown twice")
	}
	if slices.Contains(elements, "script") || slices.Contains(elements, "b") {
		t.Error("the page holds elements that came with its data")
	}
}

func TestPageWithoutTrouble(t *testing.T) {
	told := exampleEngine()
	told.status.Resources = told.status.Resources[1:2]
	told.keys = []engine.Keys{{Resource: "good", Values: threeNodes("batman")}}
	text, _ := readPage(t, newTestMonitor(told), "")
	wantInOrder(t, text, "Every file is in sync.")
	told.status = engine.Status{}
	text, _ = readPage(t, newTestMonitor(told), "")
	wantInOrder(t, text, "Starting.")
}

func TestNoSecretIsShown(t *testing.T) {
	told := exampleEngine()
	told.keys = []engine.Keys{{Resource: "good", Backend: "etcd x", Values: threeNodes("batman")}}
	handler := newHandler(newTestMonitor(told), "", onLoopback)
	for _, path := range []string{"/", "/status.json", "/metrics", "/readyz"} {
		if strings.Contains(body(t, get(t, handler, path)), "geheim") {
			t.Errorf("%s holds a password", path)
		}
	}
}

// TestHostilePage: names and values may hold anything, and none of it becomes
// part of the page's own text.
func TestHostilePage(t *testing.T) {
	const evil = "</p><script>alert(1)</script>\" onload=\"x\u202e\x1b[2J\xff"
	keys := threeNodes("batman")
	keys["/service/batman/members/db4"] = `{"conn_url":"postgres://10.0.0.4:5432/p","state":"<script>","role":"\"><script>","timeline":1,"tags":{"<script>":"</td><script>alert(1)</script>","replicatefrom":"<svg onload=1>"}}`
	keys["/service/batman/members/<script>x"] = `{}`
	keys["/service/<script>alert(1)/leader"] = "<script>"
	keys["/service/<script>alert(1)/members/x"] = `{"conn_url":"javascript:alert(1)"}`
	told := exampleEngine()
	told.keys = []engine.Keys{{Resource: evil, Backend: evil, Values: keys}}
	told.status.Backends[evil] = engine.BackendStatus{Err: fmt.Errorf("%s", evil)}
	told.status.Resources = append(told.status.Resources, engine.ResourceStatus{
		Name: evil, File: evil, Dest: evil, State: engine.Failed, Err: fmt.Errorf("%s", evil),
	})
	told.events = append(told.events, engine.Event{Kind: engine.Installed, Resource: evil, Time: noon, After: []byte("@@ @@\n+" + evil)},
		engine.Event{Kind: engine.Reloaded, Resource: evil})
	m := newTestMonitor(told)
	m.host = evil
	text, elements := readPage(t, m, "?cluster="+"%22%3E%3Cscript%3E&refresh=%22%3E%3Cscript%3E")
	for _, element := range []string{"script", "iframe", "img", "object", "form"} {
		if slices.Contains(elements, element) {
			t.Errorf("the page has an element %s", element)
		}
	}
	if strings.ContainsAny(text, "\u202e\x1b") {
		t.Error("the page holds characters that change how it is read")
	}
	handler := newHandler(m, "", onLoopback)
	var any map[string]any
	if text := body(t, get(t, handler, "/status.json")); json.Unmarshal([]byte(text), &any) != nil {
		t.Errorf("no JSON: %s", text)
	}
	if got := get(t, handler, "/metrics"); got.StatusCode != 200 {
		t.Errorf("metrics: %s", body(t, got))
	}
}

func TestPageOfManyClusters(t *testing.T) {
	values := map[string]string{}
	for i := range 30 {
		for key, value := range threeNodes(fmt.Sprintf("c%02d", i)) {
			values[key] = value
		}
	}
	delete(values, "/service/c17/leader")
	told := &toldEngine{status: engine.Status{Backends: connected()}, keys: []engine.Keys{{Resource: "all", Values: values}}}
	text, elements := readPage(t, newTestMonitor(told), "")
	wantInOrder(t, text, "c17: no leader", "1 of 30 clusters in trouble", "Clusters|30", "c17", "no leader", "Cluster|Leader|Running|Largest lag|Remarks", "c00|db1|3 of 3|24 MiB", "c29|db1|3 of 3|24 MiB")
	if n := len(slices.DeleteFunc(elements, func(e string) bool { return e != "ul" })); n != 2 {
		t.Errorf("%d lists, want the reasons and the picture of the cluster in trouble", n)
	}
	text, _ = readPage(t, newTestMonitor(told), linkOf(t, newTestMonitor(told), "", "c03")+"&refresh=1")
	wantInOrder(t, text, "refreshed every 2 s", "Show everything", "c03", "db1|10.0.0.1:5432")
	if strings.Contains(text, "c04") {
		t.Error("the page of one cluster shows others")
	}
}

func TestPageOfManyResources(t *testing.T) {
	told := &toldEngine{status: engine.Status{Backends: connected()}}
	for i := range 30 {
		name := fmt.Sprintf("r%02d", i)
		told.status.Resources = append(told.status.Resources, engine.ResourceStatus{Name: name, File: name, Dest: "/etc/" + name, State: engine.InSync})
		told.events = append(told.events,
			engine.Event{Kind: engine.Installed, Resource: name, Time: noon.Add(-5 * time.Minute)},
			engine.Event{Kind: engine.Reloaded, Resource: name, Time: noon.Add(-time.Minute)})
	}
	told.status.Resources[17].State, told.status.Resources[17].Err = engine.Held, errors.New("no primary")
	text, _ := readPage(t, newTestMonitor(told), "")
	wantInOrder(t, text, "Resources|30", "r17|held|/etc/r17|no primary", "Resource|State|Last change|Last reload",
		"r00|in sync|11:55:00|5 min ago|11:59:00|60 s ago", "r29|in sync")
	text, _ = readPage(t, newTestMonitor(told), "?resource=r05")
	wantInOrder(t, text, "Show everything", "Resources|30", "r05|in sync|/etc/r05", "Last change|11:55:00")
	if strings.Contains(text, "r06") {
		t.Error("the page of one resource shows others")
	}
}

// linkOf returns where the link with that text leads on the page of the query.
func linkOf(t *testing.T, m *monitor, query, text string) string {
	t.Helper()
	page := body(t, get(t, newHandler(m, "", onLoopback), "/"+query))
	link := regexp.MustCompile(`<a href="([^"]*)">` + regexp.QuoteMeta(text) + `</a>`).FindStringSubmatch(page)
	if link == nil {
		t.Fatalf("no link %q in\n%s", text, page)
	}
	return html.UnescapeString(link[1])
}

// TestLinksKeepTheChoice follows the links that start and stop the refreshing
// of the page of one cluster: it stays the page of that cluster.
func TestLinksKeepTheChoice(t *testing.T) {
	values := threeNodes("a+b")
	maps.Copy(values, threeNodes("other"))
	m := newTestMonitor(&toldEngine{status: engine.Status{Backends: connected()}, keys: []engine.Keys{{Resource: "all", Values: values}}})
	query := "?cluster=" + url.QueryEscape("/service/a+b")
	for _, step := range []struct{ link, want string }{{"refresh every 5 s", "refreshed every 5 s"}, {"stop", "refresh every 5 s"}} {
		query = linkOf(t, m, query, step.link)
		text, _ := readPage(t, m, query)
		wantInOrder(t, text, step.want, "/service/a+b")
		if strings.Contains(text, "/service/other") {
			t.Errorf("%s: the page at %s shows the other cluster as well", step.link, query)
		}
	}
}

// TestClustersOfAnAbsentBackend: what was last known is not shown as if it were
// known now.
func TestClustersOfAnAbsentBackend(t *testing.T) {
	away := map[string]engine.BackendStatus{"etcd a": {Err: errors.New("refused"), Since: noon.Add(-time.Minute), LastHeard: noon.Add(-2 * time.Minute)}}
	text, _ := readPage(t, newTestMonitor(&toldEngine{status: engine.Status{Backends: away},
		keys: []engine.Keys{{Resource: "a", Backend: "etcd a", Values: threeNodes("batman")}}}), "")
	wantInOrder(t, text, "etcd a away since", "/service/batman", "as of 11:58:00, 2 min ago: the backend is away", "Last heard|11:58:00")
}

// TestManyClustersOfAnAbsentBackend: a row says it, too.
func TestManyClustersOfAnAbsentBackend(t *testing.T) {
	values := map[string]string{}
	for i := range 30 {
		maps.Copy(values, threeNodes(fmt.Sprintf("c%02d", i)))
	}
	away := map[string]engine.BackendStatus{"etcd a": {Err: errors.New("refused"), Since: noon.Add(-time.Minute), LastHeard: noon.Add(-2 * time.Minute)}}
	text, _ := readPage(t, newTestMonitor(&toldEngine{status: engine.Status{Backends: away},
		keys: []engine.Keys{{Resource: "a", Backend: "etcd a", Values: values}}}), "")
	wantInOrder(t, text, "c00|db1|3 of 3|24 MiB|as of 11:58:00, 2 min ago", "c29|db1|3 of 3|24 MiB|as of 11:58:00, 2 min ago")
}

// TestFailedCommand: the page says what failed, what it printed where that is no
// secret, and when it is tried again.
func TestFailedCommand(t *testing.T) {
	for _, public := range []bool{true, false} {
		text, _ := readPage(t, newTestMonitor(&toldEngine{
			status: engine.Status{Backends: connected(), Resources: []engine.ResourceStatus{{Name: "a", Dest: "/etc/a", Checks: true, State: engine.Failed,
				Err: errors.New("check failed: exit status 1"), NextAttempt: noon.Add(7 * time.Second)}}},
			keys:   []engine.Keys{{Resource: "a", Values: threeNodes("batman")}},
			events: []engine.Event{{Kind: engine.Checked, Resource: "a", Time: noon, Err: errors.New("exit status 1"), Output: "line 3: serverr\npassword x", Public: public}},
		}), "")
		printed := "line 3: serverr\npassword x"
		if !public {
			printed = "not shown: not every user of the host may read the file"
		}
		wantInOrder(t, text, "a failed: check failed", "check failed: exit status 1 (next attempt at 12:00:07)", "Output of the failed check:|"+printed, "/service/batman")
		if !public && strings.Contains(text, "serverr") {
			t.Error("the page quotes a file that is private")
		}
	}
}

// TestTwoStoresWithOnePath: two etcds may hold a cluster at the same path.
func TestTwoStoresWithOnePath(t *testing.T) {
	two := map[string]engine.BackendStatus{"etcd a": {Connected: true}, "etcd b": {Connected: true}}
	m := newTestMonitor(&toldEngine{status: engine.Status{Backends: two}, keys: []engine.Keys{
		{Resource: "a", Backend: "etcd a", Values: threeNodes("batman")},
		{Resource: "b", Backend: "etcd b", Values: threeNodes("batman")},
	}})
	text, _ := readPage(t, m, "")
	wantInOrder(t, text, "/service/batman in etcd a", "/service/batman in etcd b")
	text, _ = readPage(t, m, "?cluster=/service/batman")
	wantInOrder(t, text, "/service/batman in etcd a", "/service/batman in etcd b")
	text, _ = readPage(t, m, "?cluster=/service/batman&backend=etcd+b")
	wantInOrder(t, text, "/service/batman in etcd b")
	if strings.Contains(text, "in etcd a") {
		t.Error("the page of one cluster shows that of the other etcd")
	}
}

// TestClustersAreSharedForAMoment: many readers cost the units no more than one.
func TestClustersAreSharedForAMoment(t *testing.T) {
	told := &toldEngine{status: engine.Status{Backends: connected()}, keys: []engine.Keys{{Resource: "a", Values: threeNodes("batman")}}}
	m := newTestMonitor(told)
	now := noon
	m.now = func() time.Time { return now }
	first := m.clusters()
	if m.clusters() != first || told.asked != 1 {
		t.Errorf("two readers at once asked %d times", told.asked)
	}
	now = now.Add(clustersKept)
	if m.clusters() == first || told.asked != 2 {
		t.Error("old clusters are shown again")
	}
}

func TestStatusJSON(t *testing.T) {
	told := exampleEngine()
	told.keys = []engine.Keys{{Resource: "good", Backend: "etcd x", Values: threeNodes("batman")}}
	response := get(t, newHandler(newTestMonitor(told), "", onLoopback), "/status.json")
	var got struct {
		At, Host, Version string
		Ready             bool
		Reasons, Silent   []string
		Resources         []map[string]any
		Backends          []map[string]any
		Events            []map[string]any
		Clusters          []struct {
			Backend, Scope, Leader string
			Members                []map[string]any
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if response.Header.Get("Content-Type") != "application/json" || got.At != "2026-07-14T12:00:00Z" || got.Ready || len(got.Reasons) != 3 || got.Silent == nil {
		t.Errorf("got %+v", got)
	}
	want := map[string]any{
		"name": "good", "file": "conf.d/good.toml", "dest": "/etc/good", "state": "in sync", "error": "", "reload_owed": false, "next_attempt": nil,
		"src": "", "backend": "", "prefix": "", "paths": []any{}, "change": nil,
		"last_success": "2026-07-14T11:59:58.5Z",
		"last_change":  map[string]any{"at": "2026-07-14T10:30:00Z", "new": false, "diff": "@@ -1,2 +1,2 @@\n a\n-server <b>old</b>\n+server new\x1b[2J\n"},
		"check":        map[string]any{"runs": 4.0, "failures": 1.0, "last": "2026-07-14T10:30:00Z", "last_seconds": 0.25, "last_failed": false, "last_output": ""},
		"reload":       map[string]any{"runs": 3.0, "failures": 0.0, "last": "2026-07-14T10:30:00Z", "last_seconds": 0.04, "last_failed": false, "last_output": ""},
	}
	if diff := cmp.Diff(want, got.Resources[1]); diff != "" {
		t.Errorf("resource (-want +got):\n%s", diff)
	}
	if len(got.Clusters) != 1 || got.Clusters[0].Scope != "batman" || got.Clusters[0].Leader != "db1" || len(got.Clusters[0].Members) != 3 {
		t.Errorf("clusters: %+v", got.Clusters)
	}
	event := map[string]any{"at": "2026-07-14T10:30:00Z", "since": "2026-07-14T10:30:00Z", "count": 1.0, "resource": "good", "backend": "", "level": "ok", "text": "file replaced"}
	if diff := cmp.Diff(event, got.Events[0]); diff != "" {
		t.Errorf("the newest event (-want +got):\n%s", diff)
	}
	if len(got.Backends) != 1 || got.Backends[0]["connected"] != true {
		t.Errorf("backends: %v", got.Backends)
	}
}
