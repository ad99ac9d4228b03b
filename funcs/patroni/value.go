package patroni

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds the nesting of the values that are accepted. Python's
// decoder gives up at about a thousand levels, Patroni writes fewer than ten.
const maxDepth = 100

// A value is the text of one well-formed JSON value as Patroni's decoder
// (Python's json.loads) accepts it: strict JSON, and NaN, Infinity and
// -Infinity, which a tag such as ".inf" becomes. The empty value stands for a
// field that is not there.
//
// Keeping the text lets a member be decoded in one pass, in which only the
// fields that are asked for cost an allocation, and keeps all digits of
// numbers.
type value string

// parse returns text as a value without the blanks around it, or false if it
// is not exactly one well-formed JSON value.
func parse(text string) (value, bool) {
	s := scanner{text: text}
	v, ok := s.value(0)
	s.blanks()
	if !ok || s.at != len(text) {
		return "", false
	}
	return v, true
}

// parseObject calls field for each field of the JSON object in text, in their
// order, so that the last of two equal names wins, as it does in Python. It
// returns false if text is anything but one well-formed object, possibly after
// some calls of field.
func parseObject(text string, field func(name string, v value)) bool {
	s := scanner{text: text}
	s.blanks()
	if s.peek() != '{' || !s.object(0, field) {
		return false
	}
	s.blanks()
	return s.at == len(text)
}

// isNull tells whether v is null or not there, which Patroni does not
// distinguish either.
func (v value) isNull() bool { return v == "" || v == "null" }

// isObject tells whether v is an object.
func (v value) isObject() bool { return v != "" && v[0] == '{' }

// text returns the string that v is, and whether it is one. What is not valid
// UTF-8 reads as U+FFFD.
func (v value) text() (string, bool) {
	if v == "" || v[0] != '"' {
		return "", false
	}
	inner := string(v[1 : len(v)-1])
	plain := true
	for i := range len(inner) {
		if inner[i] == '\\' || inner[i] >= utf8.RuneSelf {
			plain = false
			break
		}
	}
	if plain {
		return inner, true
	}
	var decoded string
	if err := json.Unmarshal([]byte(v), &decoded); err != nil {
		return "", false
	}
	return decoded, true
}

// fields calls field for each field of the object that v is, and does nothing
// if v is not an object.
func (v value) fields(field func(name string, v value)) {
	s := scanner{text: string(v)}
	if s.peek() == '{' {
		s.object(0, field)
	}
}

// items returns the items of the array that v is, and whether it is one.
func (v value) items() ([]value, bool) {
	s := scanner{text: string(v)}
	if s.peek() != '[' {
		return nil, false
	}
	var items []value
	s.array(0, func(item value) { items = append(items, item) })
	return items, true
}

// decode returns v as nil, bool, string, json.Number, []any or
// map[string]any. The numbers that JSON does not have become the strings
// "NaN", "Infinity" and "-Infinity", so that the result can be encoded again.
func (v value) decode() any {
	if v == "" {
		return nil
	}
	switch v[0] {
	case 'n':
		return nil
	case 't', 'f':
		return v == "true"
	case '"':
		decoded, _ := v.text()
		return decoded
	case '{':
		object := map[string]any{}
		v.fields(func(name string, field value) { object[name] = field.decode() })
		return object
	case '[':
		items, _ := v.items()
		array := make([]any, len(items))
		for i, item := range items {
			array[i] = item.decode()
		}
		return array
	}
	if strings.HasSuffix(string(v), "N") || strings.HasSuffix(string(v), "y") {
		return string(v)
	}
	return json.Number(v)
}

// decodeObject returns the object in text, or an empty one if it is none.
func decodeObject(text string) map[string]any {
	if v, ok := parse(text); ok && v.isObject() {
		return v.decode().(map[string]any)
	}
	return map[string]any{}
}

// A scanner walks over JSON text. Its methods return false at the first byte
// that is out of place; at then means nothing.
type scanner struct {
	text string
	at   int
}

// peek returns the byte at hand, or 0 at the end, which is never in place.
func (s *scanner) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

func (s *scanner) blanks() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

func (s *scanner) word(w string) bool {
	if !strings.HasPrefix(s.text[s.at:], w) {
		return false
	}
	s.at += len(w)
	return true
}

func (s *scanner) value(depth int) (value, bool) {
	if depth > maxDepth {
		return "", false
	}
	s.blanks()
	start, ok := s.at, false
	switch s.peek() {
	case '{':
		ok = s.object(depth, nil)
	case '[':
		ok = s.array(depth, nil)
	case '"':
		ok = s.quoted()
	case 't':
		ok = s.word("true")
	case 'f':
		ok = s.word("false")
	case 'n':
		ok = s.word("null")
	case 'N':
		ok = s.word("NaN")
	case 'I':
		ok = s.word("Infinity")
	default:
		ok = s.word("-Infinity") || s.number()
	}
	if !ok {
		return "", false
	}
	return value(s.text[start:s.at]), true
}

func (s *scanner) object(depth int, field func(string, value)) bool {
	s.at++
	s.blanks()
	if s.peek() == '}' {
		s.at++
		return true
	}
	for {
		s.blanks()
		start := s.at
		if s.peek() != '"' || !s.quoted() {
			return false
		}
		name := value(s.text[start:s.at])
		s.blanks()
		if s.peek() != ':' {
			return false
		}
		s.at++
		v, ok := s.value(depth + 1)
		if !ok {
			return false
		}
		if field != nil {
			decoded, _ := name.text()
			field(decoded, v)
		}
		s.blanks()
		switch s.peek() {
		case ',':
			s.at++
		case '}':
			s.at++
			return true
		default:
			return false
		}
	}
}

func (s *scanner) array(depth int, item func(value)) bool {
	s.at++
	s.blanks()
	if s.peek() == ']' {
		s.at++
		return true
	}
	for {
		v, ok := s.value(depth + 1)
		if !ok {
			return false
		}
		if item != nil {
			item(v)
		}
		s.blanks()
		switch s.peek() {
		case ',':
			s.at++
		case ']':
			s.at++
			return true
		default:
			return false
		}
	}
}

func (s *scanner) quoted() bool {
	for s.at++; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c == '"':
			s.at++
			return true
		case c < ' ':
			return false
		case c == '\\':
			s.at++
			switch s.peek() {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				for range 4 {
					s.at++
					if !isHex(s.peek()) {
						return false
					}
				}
			default:
				return false
			}
		}
	}
	return false
}

func (s *scanner) number() bool {
	if s.peek() == '-' {
		s.at++
	}
	if s.peek() == '0' {
		s.at++
	} else if !s.digits() {
		return false
	}
	if s.peek() == '.' {
		s.at++
		if !s.digits() {
			return false
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.at++
		if c := s.peek(); c == '+' || c == '-' {
			s.at++
		}
		return s.digits()
	}
	return true
}

func (s *scanner) digits() bool {
	start := s.at
	for isDigit(s.peek()) {
		s.at++
	}
	return s.at > start
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isHex(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
