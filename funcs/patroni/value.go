package patroni

import (
	"encoding/json"
	"regexp"
	"strings"
	"unicode/utf8"
)

// A value is the text of one JSON value as Python's json.loads accepts it: strict
// JSON, and NaN, Infinity and -Infinity, which a tag such as ".inf" becomes and
// which read as strings here. The empty value stands for a field that is not
// there. Keeping the text keeps all digits of numbers.
type value string

// UnmarshalJSON implements json.Unmarshaler.
func (v *value) UnmarshalJSON(text []byte) error {
	*v = value(text)
	return nil
}

// notNumbers matches Python's three extra numbers, and strings, which may
// contain their names.
var notNumbers = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|-?Infinity|NaN`)

// unmarshal decodes text. It returns false if that is not exactly one well-formed
// JSON value of the kind that into takes.
func unmarshal(text string, into any) bool {
	if json.Unmarshal([]byte(text), into) == nil {
		return true
	}
	if !strings.Contains(text, "Infinity") && !strings.Contains(text, "NaN") {
		return false
	}
	text = notNumbers.ReplaceAllStringFunc(text, func(match string) string {
		if match[0] == '"' {
			return match
		}
		return `"` + match + `"`
	})
	return json.Unmarshal([]byte(text), into) == nil
}

// isNull tells whether v is null or not there, which Patroni does not
// distinguish either.
func (v value) isNull() bool { return v == "" || v == "null" }

// text returns the string that v is, or "" if it is none. What is not valid
// UTF-8 reads as U+FFFD.
func (v value) text() string {
	if v == "" || v[0] != '"' {
		return ""
	}
	if inner := string(v[1 : len(v)-1]); !strings.Contains(inner, `\`) && utf8.ValidString(inner) {
		return inner // as nearly all are
	}
	var decoded string
	unmarshal(string(v), &decoded)
	return decoded
}

// fields returns the fields of the object that v is, or nil if it is none. Of
// two equal names the last one counts, as in Python.
func (v value) fields() map[string]value {
	if v.isNull() {
		return nil
	}
	var fields map[string]value
	unmarshal(string(v), &fields)
	return fields
}

// items returns the items of the array that v is, or nil if it is none.
func (v value) items() []value {
	if v.isNull() {
		return nil
	}
	var items []value
	unmarshal(string(v), &items)
	return items
}

// decode returns v as nil, bool, string, json.Number, []any or map[string]any.
func (v value) decode() any {
	decoder := json.NewDecoder(strings.NewReader(string(v)))
	decoder.UseNumber()
	var decoded any
	if decoder.Decode(&decoded) != nil {
		return nil
	}
	return decoded
}

// decodeObject returns the object in text, or an empty one if it is none.
func decodeObject(text string) map[string]any {
	decoded := map[string]any{}
	for name, v := range value(text).fields() {
		decoded[name] = v.decode()
	}
	return decoded
}
