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
// what `etcdctl get --prefix PREFIX -w json` prints. Its content tells which;
// name serves in errors only, which never contain a value.
//
// A value is a string; a boolean, and in JSON a number, is taken as it is
// written (TOML's numbers lose underscores and trailing zeros). A table or
// object stands for a level of the key: {"/app": {"port": 1}} is /app/port. A
// key without a leading slash gets one, except in etcdctl's answer, whose keys
// are what they are. Other values, and a key that is there twice, are errors.
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

// isEtcdctl tells etcdctl's answer from a map of keys: by a header that knows a
// revision, and by the absence of anything else than an answer has.
func isEtcdctl(data []byte) bool {
	var answer map[string]json.RawMessage
	if json.Unmarshal(data, &answer) != nil {
		return false
	}
	for field := range answer {
		switch field {
		case "header", "kvs", "more", "count":
		default:
			return false
		}
	}
	var header map[string]json.RawMessage
	if json.Unmarshal(answer["header"], &header) != nil {
		return false
	}
	_, ok := header["revision"]
	return ok
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
		what := "neither JSON nor TOML (keys and text need quotes)"
		switch strings.ToLower(path.Ext(name)) {
		case ".toml":
			what = "not TOML (keys and text need quotes)"
		case ".json":
			what = "not JSON (an object of keys and values begins with a brace)"
		case ".yaml", ".yml":
			what = "YAML is not read: write JSON or TOML"
		}
		// The library's own words may repeat what it could not read.
		if parse, ok := errors.AsType[toml.ParseError](err); ok {
			return nil, fmt.Errorf("%s: line %d, column %d: %s", name, parse.Position.Line, parse.Position.Col, what)
		}
		return nil, fmt.Errorf("%s: %s", name, what)
	}
	k := newKeys(name)
	flatten(k, "", tree)
	return k.result()
}

// flatten adds the keys of a tree of tables, in order.
func flatten(k *keys, parent string, tree map[string]any) {
	for _, below := range slices.Sorted(maps.Keys(tree)) {
		key := join(parent, below)
		if below == "" {
			k.nameless(0)
		}
		switch v := tree[below].(type) {
		case string:
			k.add(key, v, 0)
		case int64:
			k.add(key, strconv.FormatInt(v, 10), 0)
		case float64:
			k.add(key, strconv.FormatFloat(v, 'f', -1, 64), 0)
		case bool:
			k.add(key, strconv.FormatBool(v), 0)
		case map[string]any:
			flatten(k, key, v)
		case []any, []map[string]any:
			k.reject(key, "an array", 0)
		default:
			k.reject(key, "a date", 0)
		}
	}
}

// Write writes values as a snapshot that Parse reads back exactly: a JSON
// object with a line for each key, sorted. If a key or a value is not UTF-8,
// which JSON text cannot hold, it has the form of etcdctl's answer instead.
func Write(w io.Writer, values map[string]string) error {
	keys := slices.Sorted(maps.Keys(values))
	plain := !slices.ContainsFunc(keys, func(key string) bool {
		return !utf8.ValidString(key) || !utf8.ValidString(values[key]) || !path.IsAbs(key) || key == "/"
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
