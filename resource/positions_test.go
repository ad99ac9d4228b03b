package resource

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pc4patroni/funcs/patroni"
)

// Every field of the model that positions in the write-ahead log change is one of positionWords.
func TestPositionWords(t *testing.T) {
	decode := func(n int) *patroni.Cluster {
		keys := map[string]string{"leader": "db1", "status": fmt.Sprintf(`{"optime":%d}`, 90_000_000+n)}
		for i := range 3 {
			keys[fmt.Sprintf("members/db%d", i+1)] = fmt.Sprintf(`{"conn_url":"postgres://10.0.0.%d:5432/postgres","state":"running","role":"replica","timeline":1,`+
				`"xlog_location":%d,"receive_lsn":%d,"replay_lsn":%d}`, i, 1000+n*(i+1), 2000+n*(i+2), 3000+n*(i+3))
		}
		return patroni.Decode("/service/batman", keys)
	}
	seen := map[string]bool{}
	var compare func(name string, a, b reflect.Value)
	compare = func(name string, a, b reflect.Value) {
		switch a.Kind() {
		case reflect.Pointer, reflect.Slice:
			if a.Kind() == reflect.Pointer {
				if a.IsNil() || seen[name] {
					return
				}
				compare(name, a.Elem(), b.Elem())
				return
			}
			for i := range a.Len() {
				compare(name, a.Index(i), b.Index(i))
			}
		case reflect.Struct:
			for i := range a.NumField() {
				if field := a.Type().Field(i); field.IsExported() && field.Name != "Leader" && field.Name != "Primary" {
					compare(field.Name, a.Field(i), b.Field(i))
				}
			}
		default:
			if !reflect.DeepEqual(a.Interface(), b.Interface()) {
				seen[name] = true
			}
		}
	}
	a, b := decode(0), decode(7)
	compare("Cluster", reflect.ValueOf(a), reflect.ValueOf(b))
	if len(seen) < 7 {
		t.Errorf("only %v differ", seen)
	}
	for name := range seen {
		if !positionWords.MatchString("{{." + name + "}}") {
			t.Errorf("%s depends on positions, and a template with it would not be rendered when they change", name)
		}
	}
	for i, m := range a.Members {
		if fmt.Sprintf("%v %s", m, m) != fmt.Sprintf("%v %s", b.Members[i], b.Members[i]) {
			t.Error("a member prints positions")
		}
		for _, method := range []func(*patroni.Member) any{
			func(m *patroni.Member) any { return m.DisplayRole() }, func(m *patroni.Member) any { return m.DisplayState() },
			func(m *patroni.Member) any { return m.Upstream().String() }, func(m *patroni.Member) any { return m.Tags() },
		} {
			if !reflect.DeepEqual(method(m), method(b.Members[i])) {
				t.Error("a method of a member depends on positions")
			}
		}
	}
	if fmt.Sprint(a) != fmt.Sprint(b) {
		t.Error("a cluster prints positions")
	}
}

func TestSeesPositions(t *testing.T) {
	for text, want := range map[string]bool{
		`{{primary.Addr}} {{range readers}}{{.Name}}{{end}}`: false,
		`{{getv "/fence" "-"}}{{getv "/leader"}}`:            false,
		`{{/* or maxLag "1MB" */}}{{names members}}`:         false,
		`{{range members}}{{.Lag}}{{end}}`:                   true,
		`{{range readers | maxLag "1MB"}}{{.}}{{end}}`:       true,
		`{{getv "/members/db1"}}`:                            true,
		`{{getv (print "/members/" "db1")}}`:                 true,
		`{{getv "/status"}}{{range gets "/users/*"}}{{end}}`: false,
		`{{range getvs "/*/db1"}}{{.}}{{end}}`:               true,
		`{{range gets "[/members/*"}}{{.}}{{end}}`:           true,
		`{{range gets "/members/*"}}{{.Value}}{{end}}`:       true,
		`{{range members}}{{printf "%+v" .}}{{end}}`:         true,
		`{{toJson cluster}}`:                                 true,
		`{{$m := primary}}{{$m.ReplayLSN}}`:                  true,
		`{{(primary).XLogLocation}}`:                         true,
		`{{include "b.tmpl"}}`:                               true,
		`{{include (print "c" ".tmpl")}}`:                    true,
		`{{include "c.tmpl"}}`:                               false,
	} {
		dir := configuration(t, "templates/a.tmpl", text, "templates/b.tmpl", "{{cluster.Optime}}", "templates/c.tmpl", "c",
			"conf.d/a.toml", "[template]\nprefix = \"/service/batman\"\nsrc = \"a.tmpl\"\ndest = \"DIR/a.conf\"\n")
		set, err := Load(Options{ConfDir: dir})
		if err != nil || len(set.Resources) != 1 {
			t.Fatal(text, err, set)
		}
		if got := set.Resources[0].SeesPositions("/members/db1"); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

// The samples for PgBouncer and HAProxy cost a heartbeat nothing.
func TestSamplesSeeNoPositions(t *testing.T) {
	set, err := Load(Options{ConfDir: ".."})
	if err != nil {
		t.Fatal(err)
	}
	for _, res := range set.Resources {
		if (strings.HasPrefix(res.Name, "pgbouncer") || strings.HasPrefix(res.Name, "haproxy")) && (res.SeesPositions("/batman/members/db1") || res.SeesPositions("/members/db1")) {
			t.Errorf("%s would be rendered at each heartbeat", res.Name)
		}
	}
}
