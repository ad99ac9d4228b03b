package funcs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func storeOf(keys map[string]string) *Store {
	s := NewStore()
	s.Replace(keys)
	return s
}

func TestConfdFunctions(t *testing.T) {
	env := &Env{
		Store: storeOf(map[string]string{
			"/leader": "db1", "/members/db1": `{"conn_url":"postgres://10.0.0.1:5432/postgres","n":1}`, "/members/db10": "{}", "/members/db2": "{}",
			"/0/members/c1": "1", "/b": "1", "/a": "2", "/list": `["x","y",3]`, "/empty": "",
		}),
		Prefix: "/service/batman",
		Getenv: func(name string) string { return map[string]string{"HOST_IP": "10.0.0.9"}[name] },
	}
	tests := []struct{ template, want string }{
		{`{{exists "/leader"}} {{exists "/leade"}} {{exists "/members"}} {{exists "/empty"}}`, "true false false true"},
		{`{{with get "/leader"}}{{.Key}}={{.Value}}{{end}}`, "/leader=db1"},
		{`{{getv "/leader"}} {{getv "/nowhere" "none"}} {{getv "/nowhere" ""}}|{{getv "/empty" "x"}}|`, "db1 none ||"},
		{`{{range gets "/members/*"}}{{base .Key}} {{end}}`, "db1 db10 db2 "},
		{`{{range gets "/members/db?"}}{{base .Key}} {{end}}{{len (gets "/nothing/*")}}`, "db1 db2 0"},
		{`{{range getvs "/[ab]"}}{{.}} {{end}}`, "1 2 "},
		{`{{range ls "/members"}}{{.}} {{end}}{{len (ls "/nothing")}}`, "db1 db10 db2 0"},
		{`{{range ls "/"}}{{.}} {{end}}`, "a b empty leader list "},
		{`{{range lsdir "/0"}}{{.}} {{end}}{{len (lsdir "/")}}`, "members 0"},
		{`{{base "/a/b"}} {{base ""}} {{base "/"}} {{dir "/a/b"}} {{dir "a"}} {{dir "/"}}`, "b . / /a . /"},
		{`{{split "a:b:c" ":"}} {{len (split "" ":")}} {{index (split "a:b" ":") 1}} {{split "abc" ""}}`, "[a b c] 1 b [a b c]"},
		{`{{join (split "a:b" ":") ","}} {{join (getvs "/[ab]") "-"}}`, "a,b 1-2"},
		{`{{split "a:b" ":" | join ","}} {{join (jsonArray (getv "/list")) ","}} {{join (seq 1 3) "+"}}|{{join nil ","}}|`, "a,b x,y,3 1+2+3||"},
		{`{{replace "a-b-c" "-" "_" -1}} {{replace "a-b-c" "-" "_" 1}} {{replace "abc" "" "." -1}}`, "a_b_c a_b-c .a.b.c."},
		{`{{contains "foobar" "foo"}} {{contains "foo" "foobar"}} {{trimSuffix "db1.example.com" ".example.com"}} {{trimSuffix "a" "b"}}`, "true false db1 a"},
		{`{{toUpper "aé"}} {{toLower "AÉ"}}`, "AÉ aé"},
		{`{{with json (getv "/members/db1")}}{{.conn_url}} {{.n}} {{.missing}}{{end}}`, "postgres://10.0.0.1:5432/postgres 1 <no value>"},
		{`{{len (json "null")}} {{len (jsonArray "null")}} {{range jsonArray "[1,2.50]"}}{{.}} {{end}}`, "0 0 1 2.50 "},
		{`{{$m := map "name" "es" "port" 9200}}{{index $m "name"}} {{$m.port}} {{len (map)}}`, "es 9200 0"},
		{`{{base64Encode "Value"}} {{base64Decode "VmFsdWU="}}`, "VmFsdWU= Value"},
		{`{{parseBool "t"}} {{parseBool "FALSE"}} {{parseBool "0"}}`, "true false false"},
		{`{{reverse (split "a b c" " ")}} {{range reverse (gets "/members/*")}}{{base .Key}} {{end}}{{reverse (jsonArray "[1,2]")}} {{reverse "abc"}}`, "[c b a] db2 db10 db1 [2 1] abc"},
		{`{{$l := split "a b" " "}}{{reverse $l}}{{$l}}`, "[b a][a b]"},
		{`{{$l := split "ccc a bb aa" " "}}{{sortByLength $l}} {{$l}}`, "[a bb aa ccc] [ccc a bb aa]"},
		{`{{range sortKVByLength (gets "/members/*")}}{{base .Key}} {{end}}{{range reverse (sortKVByLength (gets "/members/*"))}}{{base .Key}} {{end}}`, "db1 db2 db10 db10 db2 db1 "},
		{`{{getenv "HOST_IP"}} {{getenv "HOST_IP" "x"}} {{getenv "NO" "127.0.0.1"}} {{getenv "NO"}}|`, "10.0.0.9 10.0.0.9 127.0.0.1 |"},
	}
	for _, tt := range tests {
		if got := render(t, env, tt.template); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.template, got, tt.want)
		}
	}
}

// TestPatroniSamples renders constructs of the samples that come with Patroni
// for confd: their nesting of split, index, replace and base must go on working.
func TestPatroniSamples(t *testing.T) {
	env := &Env{Store: storeOf(map[string]string{
		"/leader":        "db1",
		"/members/db1":   `{"conn_url":"postgres://10.0.0.1:5432/postgres","api_url":"http://10.0.0.1:8008/patroni","timeline":3}`,
		"/members/db2":   `{"conn_url":"postgres://10.0.0.2:6432/postgres","api_url":"http://10.0.0.2:8009/patroni","timeline":3}`,
		"/0/members/c1":  `{"conn_url":"postgres://10.1.0.1:5432/citus","api_url":"http://10.1.0.1:8008/patroni"}`,
		"/1/members/w1":  `{"conn_url":"postgres://10.1.1.1:5432/citus","api_url":"http://10.1.1.1:8008/patroni"}`,
		"/12/members/w2": `{"conn_url":"postgres://10.1.2.1:5432/citus","api_url":"http://10.1.2.1:8008/patroni"}`,
	})}
	tests := []struct{ name, template, want string }{
		{
			"servers with their checks",
			`{{range gets "/members/*"}}{{$m := json .Value}}server {{base .Key}} {{index (split $m.conn_url "/") 2}} check port {{index (split (index (split $m.api_url "/") 2) ":") 1}}{{"\n"}}{{end}}`,
			"server db1 10.0.0.1:5432 check port 8008\nserver db2 10.0.0.2:6432 check port 8009\n",
		},
		{
			"workers of Citus",
			`{{range gets "/*/members/*"}}{{$group := index (split .Key "/") 1}}{{if ne $group "0"}}{{$group}}:{{base .Key}} {{end}}{{end}}`,
			"1:w1 12:w2 ",
		},
		{
			"the leader's host and port",
			`{{with get "/leader"}}{{with get (printf "/members/%s" .Value)}}{{$m := json .Value}}{{$at := base (replace (index (split $m.conn_url "/") 2) "@" "/" -1)}}host={{index (split $at ":") 0}} port={{index (split $at ":") 1}}{{end}}{{end}}`,
			"host=10.0.0.1 port=5432",
		},
	}
	for _, tt := range tests {
		if got := render(t, env, tt.template); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

func TestConfdErrors(t *testing.T) {
	env := &Env{
		Store:  storeOf(map[string]string{"/leader": "db1", "/members/db1": "hunter2", "/members/db2": `["hunter2"]`, "/3": "3"}),
		Prefix: "/service/batman",
	}
	const at = `template: test.tmpl:1:2: executing "test.tmpl" at <`
	tests := []struct{ template, want string }{
		{`{{getv "/leadr"}}`, at + `getv "/leadr">: error calling getv: key does not exist: /leadr (below the prefix /service/batman) (did you mean "/leader"?)`},
		{`{{get "/members/db3"}}`, `key does not exist: /members/db3 (below the prefix /service/batman) (did you mean "/members/db1"?)`},
		{`{{getv "leader"}}`, `key does not exist: leader (below the prefix /service/batman) (did you mean "/leader"?)`},
		{`{{getv "/nothing/like/it"}}`, `key does not exist: /nothing/like/it (below the prefix /service/batman)`},
		{`{{getv "/x\ny"}}`, `key does not exist: "/x\ny" (below the prefix /service/batman)`},
		{`{{cluster "/x\ny"}}`, `no Patroni cluster at "/service/batman/x\ny"; there are: "/"`},
		{`{{gets "["}}`, `error calling gets: syntax error in pattern`},
		{`{{json (getv "/members/db1")}}`, `error calling json: the text is not JSON: syntax error at byte 1`},
		{`{{json (getv "/members/db2")}}`, `error calling json: the text is a JSON array, not an object; use jsonArray`},
		{`{{json (getv "/3")}}`, `error calling json: want a JSON object, not a number`},
		{`{{jsonArray "{}"}}`, `error calling jsonArray: the text is a JSON object, not an array; use json`},
		{`{{jsonArray "\"x\""}}`, `error calling jsonArray: want a JSON array, not text`},
		{`{{map "a"}}`, `error calling map: a map is made of pairs of a key and a value, not of 1 arguments`},
		{`{{map 1 2}}`, `error calling map: the key of a map must be text, not a number`},
		{`{{parseBool (getv "/members/db1")}}`, `the text is not a boolean; it may be 1, t, T, true, True, TRUE, 0, f, F, false, False, FALSE`},
		{`{{base64Decode "!"}}`, `error calling base64Decode: illegal base64 data at input byte 0`},
		{`{{join "a" "b"}}`, `error calling join: text is not a list`},
		{`{{join (seq 1 2) 3}}`, `error calling join: join needs a list and a separator, not a list and a number`},
		{`{{join 5 ","}}`, `error calling join: a number is not a list`},
	}
	for _, tt := range tests {
		got := renderError(t, env, tt.template)
		if !strings.HasSuffix(got, tt.want) {
			t.Errorf("%s\n got %s\nwant %s", tt.template, got, tt.want)
		}
		if strings.Contains(got, "hunter2") {
			t.Errorf("%s: the error quotes the value of a key: %s", tt.template, got)
		}
	}
}

func TestDatetime(t *testing.T) {
	moment := time.Date(2026, 5, 4, 9, 12, 33, 0, time.UTC)
	env := &Env{Store: NewStore(), Now: func() time.Time { return moment }}
	if render(t, env, `{{exists "/a"}}`); env.UsedTime {
		t.Error("UsedTime is set by a template that does not call datetime")
	}
	if got, want := render(t, env, `{{datetime}} {{datetime.Format "Jan 2, 2006"}}`), "2026-05-04 09:12:33 +0000 UTC May 4, 2026"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if !env.UsedTime {
		t.Error("UsedTime is not set by datetime")
	}
}

func TestFileExists(t *testing.T) {
	name := filepath.Join(t.TempDir(), "there")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	env := &Env{Store: storeOf(map[string]string{"/name": name})}
	// A file below a file cannot be looked at, which is not the same as absent.
	if got, want := render(t, env, `{{fileExists (getv "/name")}} {{fileExists (printf "%s.not" (getv "/name"))}} {{fileExists (printf "%s/x" (getv "/name"))}}`), "true false true"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestEnvIsReadAtCallTime renders one parsed template for two resources.
func TestEnvIsReadAtCallTime(t *testing.T) {
	env := &Env{}
	parsed := parse(t, Map(env), `{{getv "/leader"}} {{primary}} {{getenv "X"}}`)
	for _, name := range []string{"db1", "db2"} {
		*env = Env{
			Store:  storeOf(map[string]string{"/leader": name, "/members/" + name: `{"conn_url":"postgres://10.0.0.1:5432/postgres"}`}),
			Getenv: func(string) string { return "x" + name },
		}
		if got, err := run(parsed, nil); err != nil || got != name+" "+name+" x"+name {
			t.Errorf("got %s, %v", got, err)
		}
	}
}
