package file

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// Parse reads a snapshot: a JSON object or a TOML file of keys and values, or
// what `etcdctl get --prefix PREFIX -w json` prints. name serves in errors
// only, which never contain a value.
//
// A value is a string; numbers and booleans are taken as they are written. A
// table stands for a level of the key: {"/app": {"port": 1}} is /app/port. A
// key without a leading slash gets one. Other values are errors.
func Parse(name string, data []byte) (map[string]string, error) {
	trimmed := bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")))
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

func parseJSON(name string, data []byte) (map[string]string, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var tree map[string]any
	if err := decoder.Decode(&tree); err != nil {
		return nil, jsonError(name, data, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: line %d: there is more after the end of the object: a snapshot is one object",
			name, lineAt(data, decoder.InputOffset()))
	}
	if isEtcdctl(tree) {
		return parseEtcdctl(name, data)
	}
	return flatten(name, tree)
}

func jsonError(name string, data []byte, err error) error {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("%s: line %d: not JSON: %s", name, lineAt(data, syntax.Offset), strings.TrimPrefix(syntax.Error(), "json: "))
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: line %d: the file ends in the middle of the object", name, lineAt(data, int64(len(data))))
	}
	return fmt.Errorf("%s: not JSON: %w", name, err)
}

func lineAt(data []byte, offset int64) int {
	return 1 + bytes.Count(data[:min(offset, int64(len(data)))], []byte("\n"))
}

// isEtcdctl tells etcdctl's answer from a map of keys.
func isEtcdctl(tree map[string]any) bool {
	header, ok := tree["header"].(map[string]any)
	_, revision := header["revision"]
	return ok && revision
}

func parseEtcdctl(name string, data []byte) (map[string]string, error) {
	var answer struct {
		KVs []struct {
			Key   string `json:"key"`
			Value string `json:"value"`
		} `json:"kvs"`
		More bool `json:"more"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, fmt.Errorf("%s: this is not what etcdctl get -w json prints", name)
	}
	if answer.More {
		return nil, fmt.Errorf("%s: etcdctl printed a part of the keys only: call it without --limit", name)
	}
	values := make(map[string]string, len(answer.KVs))
	for i, kv := range answer.KVs {
		key, err := base64.StdEncoding.DecodeString(kv.Key)
		if err != nil {
			return nil, fmt.Errorf("%s: the key of entry %d of kvs is not base64", name, i+1)
		}
		value, err := base64.StdEncoding.DecodeString(kv.Value)
		if err != nil {
			return nil, fmt.Errorf("%s: the value of key %q is not base64", name, key)
		}
		values[string(key)] = string(value)
	}
	return values, nil
}

func parseTOML(name string, data []byte) (map[string]string, error) {
	var tree map[string]any
	if _, err := toml.Decode(string(data), &tree); err != nil {
		if parse, ok := errors.AsType[toml.ParseError](err); ok {
			return nil, fmt.Errorf("%s: line %d: neither JSON nor TOML (keys and text need quotes)", name, parse.Position.Line)
		}
		return nil, fmt.Errorf("%s: neither JSON nor TOML", name)
	}
	return flatten(name, tree)
}

// flatten turns nested tables into keys with slashes.
func flatten(name string, tree map[string]any) (map[string]string, error) {
	values := map[string]string{}
	var errs []error
	var walk func(key string, value any)
	walk = func(key string, value any) {
		switch v := value.(type) {
		case string:
			values[key] = v
		case json.Number:
			values[key] = v.String()
		case int64:
			values[key] = strconv.FormatInt(v, 10)
		case float64:
			values[key] = strconv.FormatFloat(v, 'f', -1, 64)
		case bool:
			values[key] = strconv.FormatBool(v)
		case map[string]any:
			for _, below := range slices.Sorted(maps.Keys(v)) {
				walk(strings.TrimSuffix(key, "/")+"/"+strings.TrimPrefix(below, "/"), v[below])
			}
		default:
			errs = append(errs, fmt.Errorf("%s: key %q: the value is %s: write it as a string", name, key, describe(value)))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(tree)) {
		walk(rooted(key), tree[key])
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return values, nil
}

// rooted adds a leading slash where there is none, and leaves the rest of the
// key as it is.
func rooted(key string) string {
	if path.IsAbs(key) {
		return key
	}
	return "/" + key
}

func describe(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case []any, []map[string]any:
		return "an array"
	}
	return "a date"
}

// Write writes values as a snapshot that Parse reads back exactly: a JSON
// object with a line for each key, sorted. If a key or a value is not UTF-8,
// which JSON text cannot hold, it has the form of etcdctl's answer instead.
func Write(w io.Writer, values map[string]string) error {
	keys := slices.Sorted(maps.Keys(values))
	plain := !slices.ContainsFunc(keys, func(key string) bool {
		return !utf8.ValidString(key) || !utf8.ValidString(values[key]) || !path.IsAbs(key)
	})
	var out bytes.Buffer
	if plain {
		out.WriteString("{")
	} else {
		out.WriteString(`{"header":{"revision":0},"kvs":[`)
	}
	for i, key := range keys {
		if i > 0 {
			out.WriteString(",")
		}
		if plain {
			fmt.Fprintf(&out, "\n  %s: %s", quote(key), quote(values[key]))
		} else {
			fmt.Fprintf(&out, "\n  {\"key\":%q,\"value\":%q}", base64.StdEncoding.EncodeToString([]byte(key)), base64.StdEncoding.EncodeToString([]byte(values[key])))
		}
	}
	if plain {
		out.WriteString("\n}\n")
	} else {
		out.WriteString("\n]}\n")
	}
	_, err := w.Write(out.Bytes())
	return err
}

// quote returns s as a JSON string without the escapes that only HTML needs.
func quote(s string) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	// Encoding a string fails only if the writer does.
	_ = encoder.Encode(s)
	return strings.TrimSuffix(out.String(), "\n")
}
