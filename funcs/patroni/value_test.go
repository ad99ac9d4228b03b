package patroni

import (
	"bytes"
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

// FuzzValue compares the decoder with the standard library's. They differ in
// Python's three extra numbers and in how deep values may be nested.
func FuzzValue(f *testing.F) {
	for _, text := range []string{
		`{"a":[1,-0.5e+3,"x\u00e9\n\"\\\/\b\f\r\t",true,false,null,{}],"a":{"b":[]}}`, ` [ 1 , 2 ] `, `"\ud83d\ude00\ud800"`,
		"\"\xff\"", `01`, `1.`, `-`, `.5`, `+1`, `1e`, `[1,]`, `{"a":1,}`, `{"a"}`, `{1:2}`, "\"\n\"", `"\x"`, `"\u12g4"`, `nul`, `tru`, ``, `"`,
		`[[[[`, `NaN`, `Infinity`, `-Infinity`, `{"a":NaN}`, `{"a":1}{}`, "\ufeff{}", strings.Repeat("[", 150) + strings.Repeat("]", 150),
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, ok := parse(text)
		want, wantOK := standardDecode(text)
		extra := strings.Contains(text, "N") || strings.Contains(text, "I")
		deep := strings.Count(text, "[")+strings.Count(text, "{") > maxDepth
		switch {
		case ok == wantOK:
		case ok && extra:
			return
		case wantOK && deep:
			return
		default:
			t.Fatalf("parse(%q) is %v, encoding/json says %v", text, ok, wantOK)
		}
		if !ok {
			return
		}
		// cmp takes time exponential in the depth of values: not here.
		if got := v.decode(); !reflect.DeepEqual(want, got) && !extra {
			t.Fatalf("%q is %v, encoding/json says %v", text, got, want)
		}
		if v.isObject() {
			seen := map[string]value{}
			if !parseObject(text, func(name string, field value) { seen[name] = field }) {
				t.Fatalf("parseObject(%q) fails where parse does not", text)
			}
			object := v.decode().(map[string]any)
			if len(seen) != len(object) {
				t.Fatalf("parseObject(%q) gives %d fields, want %d", text, len(seen), len(object))
			}
			for name, field := range seen {
				if got := field.decode(); !reflect.DeepEqual(object[name], got) {
					t.Fatalf("%q: field %q is %v in parseObject and %v in decode", text, name, got, object[name])
				}
			}
		} else if parseObject(text, func(string, value) {}) {
			t.Fatalf("parseObject(%q) takes it for an object", text)
		}
		v.integer()
		v.truthy()
		if _, err := json.Marshal(v.decode()); err != nil {
			t.Fatalf("what %q decodes to cannot be encoded: %v", text, err)
		}
		if bytes.ContainsAny([]byte(v), "\x00") {
			t.Fatalf("%q: a value holds a NUL", text)
		}
	})
}
