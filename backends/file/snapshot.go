package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// Parse reads a snapshot: a JSON object or a TOML file of keys and values, or
// the output of `etcdctl get --prefix PREFIX -w json`. The content tells which;
// name serves in errors only, which never contain a value.
//
// A value is a string; a boolean, and in JSON a number, is taken as it is
// written (TOML's numbers lose underscores and trailing zeros). A table or
// object stands for a level of the key: {"/app": {"port": 1}} is /app/port. A
// key without a leading slash gets one, except in etcdctl's output, whose keys
// are taken as they are. Other values and duplicate keys are errors.
func Parse(name string, data []byte) (map[string]string, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	trimmed := bytes.TrimSpace(data)
	switch {
	case len(trimmed) == 0:
		return nil, fmt.Errorf("%s: the file is empty: a snapshot without keys is {}", name)
	case trimmed[0] == '{':
		return parseJSON(name, data)
	case trimmed[0] == '[' && json.Valid(trimmed):
		return nil, fmt.Errorf("%s: line 1: a snapshot is an object of keys and values, not an array", name)
	}
	return parseTOML(name, data)
}

// parser collects the keys of one snapshot and what is wrong with them.
type parser struct {
	name   string
	json   []byte // the text; nil for TOML, whose keys have no known line
	values map[string]string
	errs   []error
}

// reject records an error at an offset of the JSON text.
func (p *parser) reject(offset int, format string, args ...any) {
	place := p.name
	if p.json != nil {
		place += fmt.Sprintf(": line %d", 1+bytes.Count(p.json[:offset], []byte("\n")))
	}
	p.errs = append(p.errs, fmt.Errorf("%s: %w", place, fmt.Errorf(format, args...)))
}

// key returns the full name of a key below parent, which is empty at the top.
func (p *parser) key(parent, name string, offset int) string {
	if name == "" {
		p.reject(offset, "a key has no name")
	}
	if parent == "" && path.IsAbs(name) {
		return name
	}
	return strings.TrimSuffix(parent, "/") + "/" + strings.TrimPrefix(name, "/")
}

func (p *parser) add(key, value string, offset int) {
	if _, ok := p.values[key]; ok {
		p.reject(offset, "key %q is there twice: remove one", key)
	}
	p.values[key] = value
}

// rejectValue records a value that no key can have.
func (p *parser) rejectValue(key, what string, offset int) {
	p.reject(offset, "key %q: the value is %s: write it as a string", key, what)
}

func (p *parser) result() (map[string]string, error) {
	if len(p.errs) > 0 {
		return nil, errors.Join(p.errs...)
	}
	return p.values, nil
}

func parseJSON(name string, data []byte) (map[string]string, error) {
	line := 0
	for text := range bytes.Lines(data) {
		if line++; !utf8.Valid(text) {
			return nil, fmt.Errorf("%s: line %d: not UTF-8: take the keys with etcdctl get --prefix -w json, which encodes such values", name, line)
		}
	}
	var whole json.RawMessage
	if err := json.Unmarshal(data, &whole); err != nil {
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			before := data[:max(0, syntax.Offset-1)]
			line, column := 1+bytes.Count(before, []byte("\n")), len(before)-bytes.LastIndexByte(before, '\n')
			return nil, fmt.Errorf("%s: line %d, column %d: not JSON: %w", name, line, column, err)
		}
		return nil, fmt.Errorf("%s: not JSON: %w", name, err)
	}
	if keys, ok, err := parseEtcdctl(name, data); ok {
		return keys, err
	}
	p := &parser{name: name, json: data, values: map[string]string{}}
	p.object("", data, 0)
	return p.result()
}

// object adds the keys of a JSON object that begins at an offset. Reading token
// by token, it sees duplicate keys, which encoding/json drops, and keeps numbers
// as they are written. The text is known to be valid: decoding cannot fail.
func (p *parser) object(parent string, text []byte, start int) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	_, _ = decoder.Token() // the brace
	for decoder.More() {
		token, _ := decoder.Token()
		offset := start + int(decoder.InputOffset())
		key := p.key(parent, token.(string), offset)
		var value json.RawMessage
		_ = decoder.Decode(&value)
		switch value[0] {
		case '{':
			p.object(key, value, start+int(decoder.InputOffset())-len(value))
		case '[':
			p.rejectValue(key, "an array", offset)
		case 'n':
			p.rejectValue(key, "null", offset)
		case '"':
			var text string
			_ = json.Unmarshal(value, &text)
			p.add(key, text, offset)
		default:
			p.add(key, string(value), offset)
		}
	}
}

// parseEtcdctl tells etcdctl's output from a map of keys: it has a header with
// a revision, and nothing but the fields of an answer.
func parseEtcdctl(name string, data []byte) (values map[string]string, ok bool, err error) {
	var answer struct {
		Header     map[string]json.RawMessage
		More       bool
		KVs, Count json.RawMessage
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if decoder.Decode(&answer) != nil || answer.Header["revision"] == nil {
		return nil, false, nil
	}
	var kvs []struct{ Key, Value []byte } // base64 in JSON
	switch {
	case answer.More:
		return nil, true, fmt.Errorf("%s: etcdctl printed only some of the keys: run it without --limit", name)
	case answer.KVs != nil && json.Unmarshal(answer.KVs, &kvs) != nil:
		return nil, true, fmt.Errorf("%s: not what etcdctl get -w json prints: kvs must be a list of keys and values in base64", name)
	}
	values = make(map[string]string, len(kvs))
	for _, kv := range kvs {
		values[string(kv.Key)] = string(kv.Value)
	}
	return values, true, nil
}

func parseTOML(name string, data []byte) (map[string]string, error) {
	var tree map[string]any
	if _, err := toml.Decode(string(data), &tree); err != nil {
		what := "neither JSON nor TOML (keys and text need quotes)"
		switch strings.ToLower(path.Ext(name)) {
		case ".toml":
			what = "not TOML (keys and text need quotes)"
		case ".json":
			what = "not JSON (an object of keys and values begins with a brace)"
		case ".yaml", ".yml":
			what = "YAML is not supported: write JSON or TOML"
		}
		// The library's own words may repeat what it could not read.
		if parse, ok := errors.AsType[toml.ParseError](err); ok {
			return nil, fmt.Errorf("%s: line %d, column %d: %s", name, parse.Position.Line, parse.Position.Col, what)
		}
		return nil, fmt.Errorf("%s: %s", name, what)
	}
	p := &parser{name: name, values: map[string]string{}}
	p.table("", tree)
	return p.result()
}

// table adds the keys of a TOML table.
func (p *parser) table(parent string, table map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(table)) {
		key := p.key(parent, name, 0)
		switch v := table[name].(type) {
		case string:
			p.add(key, v, 0)
		case int64:
			p.add(key, strconv.FormatInt(v, 10), 0)
		case float64:
			p.add(key, strconv.FormatFloat(v, 'f', -1, 64), 0)
		case bool:
			p.add(key, strconv.FormatBool(v), 0)
		case map[string]any:
			p.table(key, v)
		case []any, []map[string]any:
			p.rejectValue(key, "an array", 0)
		default:
			p.rejectValue(key, "a date", 0)
		}
	}
}
