package tomlfile

import (
	"bytes"
	"strings"

	"github.com/BurntSushi/toml"
)

// scanLines returns the line of the first mention of every key in a file that
// the parser accepted. The parser itself keeps the line of values only, and
// shows even those only in its own errors.
//
// The scanner follows TOML's structure (headers, dotted and quoted keys, inline
// tables, the four kinds of strings, comments) but judges nothing. Where it
// loses its way it goes on with the next line, and in any case it ends.
func scanLines(data []byte) map[string]int {
	// The parser drops these marks too.
	for _, mark := range []string{"\xff\xfe", "\xfe\xff", "\xef\xbb\xbf"} {
		if rest, ok := bytes.CutPrefix(data, []byte(mark)); ok {
			data = rest
			break
		}
	}
	s := scanner{data: data, line: 1, lines: make(map[string]int)}
	var table []string
	for s.blank(); s.pos < len(s.data); s.blank() {
		if s.peek() != '[' {
			s.keyValue(table)
			continue
		}
		line := s.line
		for s.peek() == '[' {
			s.advance()
		}
		s.space()
		keys, ok := s.key()
		if ok {
			table = keys
			s.record(nil, keys, line)
		}
		s.restOfLine()
	}
	return s.lines
}

// scanner walks through a file once. Every method leaves it where it was or
// further on.
type scanner struct {
	data  []byte
	pos   int
	line  int // of pos, from 1
	lines map[string]int
}

// peek returns the byte at the position, or 0 at the end of the file.
func (s *scanner) peek() byte {
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

func (s *scanner) at(prefix string) bool {
	return bytes.HasPrefix(s.data[s.pos:], []byte(prefix))
}

// advance steps over one byte.
func (s *scanner) advance() {
	if s.pos < len(s.data) {
		if s.data[s.pos] == '\n' {
			s.line++
		}
		s.pos++
	}
}

// space skips spaces and tabs.
func (s *scanner) space() {
	for s.peek() == ' ' || s.peek() == '\t' {
		s.pos++
	}
}

// blank skips spaces, ends of lines and comments.
func (s *scanner) blank() {
	for s.pos < len(s.data) {
		switch s.peek() {
		case ' ', '\t', '\r', '\n':
			s.advance()
		case '#':
			s.restOfLine()
		default:
			return
		}
	}
}

// restOfLine skips to the next end of line.
func (s *scanner) restOfLine() {
	for s.pos < len(s.data) && s.data[s.pos] != '\n' {
		s.pos++
	}
}

// record notes the line of a key below table, and of the tables on the way to
// it that a dotted key creates.
func (s *scanner) record(table, keys []string, line int) {
	for n := range keys {
		path := joinKeys(append(table[:len(table):len(table)], keys[:n+1]...))
		if s.lines[path] == 0 {
			s.lines[path] = line
		}
	}
}

// keyValue reads "key = value" and records the key and, where the value is an
// inline table, the keys in it.
func (s *scanner) keyValue(table []string) {
	line := s.line
	keys, ok := s.key()
	if !ok || s.peek() != '=' {
		s.advance()
		s.restOfLine()
		return
	}
	s.record(table, keys, line)
	s.advance()
	s.value(append(table[:len(table):len(table)], keys...))
}

// key reads a key of one part or several, and the space behind it. Its parts
// stand on one line.
func (s *scanner) key() ([]string, bool) {
	var keys []string
	for {
		s.space()
		part, ok := s.keyPart()
		if !ok {
			return nil, false
		}
		keys = append(keys, part)
		s.space()
		if s.peek() != '.' {
			return keys, true
		}
		s.advance()
	}
}

func (s *scanner) keyPart() (string, bool) {
	start := s.pos
	if c := s.peek(); c == '"' || c == '\'' {
		s.quoted()
		text := string(s.data[start:s.pos])
		if c == '\'' {
			return strings.Trim(text, "'"), true
		}
		// Escapes are left to those who know them all.
		var unquoted struct{ Key string }
		_, err := toml.Decode("Key = "+text, &unquoted)
		return unquoted.Key, err == nil
	}
	for s.pos < len(s.data) && isBare(s.data[s.pos]) {
		s.pos++
	}
	return string(s.data[start:s.pos]), s.pos > start
}

// isBare tells whether c may stand in a key without quotes. Bytes beyond ASCII
// are let through; the parser has had its say on them.
func isBare(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c >= 0x80
}

// value skips a value, spaces before it included; path is where it belongs.
func (s *scanner) value(path []string) {
	s.space()
	switch s.peek() {
	case '"', '\'':
		s.quoted()
	case '[':
		s.advance()
		for s.blank(); s.pos < len(s.data) && s.peek() != ']'; s.blank() {
			if s.peek() == ',' {
				s.advance()
				continue
			}
			s.value(path)
		}
		s.advance()
	case '{':
		s.advance()
		for s.blank(); s.pos < len(s.data) && s.peek() != '}'; s.blank() {
			if s.peek() == ',' {
				s.advance()
				continue
			}
			s.keyValue(path)
		}
		s.advance()
	default:
		s.bareValue()
	}
}

// bareValue skips a number, a boolean or a date, and at least one byte.
func (s *scanner) bareValue() {
	start := s.pos
	for s.pos < len(s.data) && !strings.ContainsRune(",]}#\n", rune(s.data[s.pos])) {
		s.pos++
	}
	if s.pos == start {
		s.advance()
	}
}

// quoted skips a string of any of the four kinds.
func (s *scanner) quoted() {
	quote := string(s.data[s.pos])
	escapes := quote == `"`
	if triple := strings.Repeat(quote, 3); s.at(triple) {
		quote = triple
	}
	s.pos += len(quote)
	for s.pos < len(s.data) && !s.at(quote) {
		if escapes && s.peek() == '\\' {
			s.advance()
		}
		s.advance()
	}
	s.pos = min(s.pos+len(quote), len(s.data))
	if len(quote) == 3 {
		// Up to two more quotes belong to the text.
		for range 2 {
			if s.peek() == quote[0] {
				s.pos++
			}
		}
	}
}
