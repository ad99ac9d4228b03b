package patroni

import (
	"encoding/json"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestValueConversions(t *testing.T) {
	type result struct {
		Truthy, True bool
		Integer      int64
		IsInteger    bool
		Form         string
	}
	tests := []struct {
		text string
		want result
	}{
		{`null`, result{}},
		{`true`, result{Truthy: true, True: true, Form: "true"}},
		{`false`, result{Form: "false"}},
		{`""`, result{}},
		{`"false"`, result{Truthy: true, Form: "false"}},
		{`"YES"`, result{Truthy: true, True: true, Form: "YES"}},
		{`"on"`, result{Truthy: true, True: true, Form: "on"}},
		{`0`, result{Form: "0", IsInteger: true}},
		{`-0.0e5`, result{Form: "-0.0e5", IsInteger: true}},
		{`1`, result{Truthy: true, True: true, Form: "1", Integer: 1, IsInteger: true}},
		{`1.7`, result{Truthy: true, Form: "1.7", Integer: 2, IsInteger: true}},
		{`-1.7`, result{Truthy: true, Form: "-1.7", Integer: -2, IsInteger: true}},
		{`1e400`, result{Truthy: true, Form: "1e400"}},
		{`9223372036854775808`, result{Truthy: true, Form: "9223372036854775808"}},
		{`9223372036854775807`, result{Truthy: true, Form: "9223372036854775807", Integer: 9223372036854775807, IsInteger: true}},
		{`" 42 "`, result{Truthy: true, Form: " 42 ", Integer: 42, IsInteger: true}},
		{`"0x2a"`, result{Truthy: true, Form: "0x2a", Integer: 42, IsInteger: true}},
		{`"-0x2a"`, result{Truthy: true, Form: "-0x2a", Integer: -42, IsInteger: true}},
		{`"052"`, result{Truthy: true, Form: "052", Integer: 42, IsInteger: true}},
		{`"42.4"`, result{Truthy: true, Form: "42.4", Integer: 42, IsInteger: true}},
		{`"42MB"`, result{Truthy: true, Form: "42MB"}},
		{`[]`, result{Form: "[]"}},
		{`[ ]`, result{Form: "[ ]"}},
		{`[0]`, result{Truthy: true, Form: "[0]"}},
		{`{}`, result{Form: "{}"}},
		{`{"a":0}`, result{Truthy: true, Form: `{"a":0}`}},
		{`NaN`, result{Truthy: true, Form: "NaN"}},
		{`-Infinity`, result{Truthy: true, Form: "-Infinity"}},
	}
	for _, tt := range tests {
		v, ok := parse(tt.text)
		if !ok {
			t.Errorf("parse(%s) fails", tt.text)
			continue
		}
		got := result{Truthy: v.truthy(), True: v.isTrue(), Form: v.form()}
		got.Integer, got.IsInteger = v.integer()
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.text, diff)
		}
	}
	var absent value
	if absent.truthy() || absent.isTrue() || absent.form() != "" || absent.decode() != nil || absent.position() != 0 {
		t.Error("a field that is not there has a value")
	}
}

// standardDecode decodes text with encoding/json, keeping the digits of
// numbers.
func standardDecode(text string) (any, bool) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var decoded any
	if err := decoder.Decode(&decoded); err != nil {
		return nil, false
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, false
	}
	return decoded, true
}

// parse returns text as a value.
func parse(text string) (v value, ok bool) {
	ok = unmarshal(text, &v)
	return v, ok
}

// FuzzValue holds what is read to what encoding/json reads, which does not have
// Python's three extra numbers.
func FuzzValue(f *testing.F) {
	for _, text := range []string{
		`{"a":[1,-0.5e+3,"x\u00e9\n\"\\\/\b\f\r\t",true,false,null,{}],"a":{"b":[]}}`, ` [ 1 , 2 ] `, `"\ud83d\ude00\ud800"`,
		"\"\xff\"", `01`, `1.`, `-`, `[1,]`, `{"a"}`, `{1:2}`, "\"\n\"", `"\x"`, `nul`, ``, `"`, `[[[[`, `NaN`, `-Infinity`,
		`{"a":NaN,"NaN":"-Infinity, \" NaN"}`, `{"a":1}{}`, "\ufeff{}",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, ok := parse(text)
		want, wantOK := standardDecode(text)
		if wantOK && (!ok || !reflect.DeepEqual(want, v.decode())) {
			t.Fatalf("%q is %v (%v), encoding/json says %v", text, v.decode(), ok, want)
		}
		if ok && !wantOK && !strings.Contains(text, "NaN") && !strings.Contains(text, "Infinity") {
			t.Fatalf("%q is accepted", text)
		}
		if !ok {
			return
		}
		if object, isObject := v.decode().(map[string]any); isObject {
			fields := v.fields()
			if len(fields) != len(object) {
				t.Fatalf("%q has %d fields, want %d", text, len(fields), len(object))
			}
			for name, field := range fields {
				if got := field.decode(); !reflect.DeepEqual(object[name], got) {
					t.Fatalf("%q: field %q is %v alone and %v in the object", text, name, got, object[name])
				}
			}
		}
		v.integer()
		v.truthy()
		if _, err := json.Marshal(v.decode()); err != nil {
			t.Fatalf("what %q decodes to cannot be encoded: %v", text, err)
		}
	})
}
