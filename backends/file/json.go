package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"
)

// maxDepth is how deep objects may be nested: more is no snapshot.
const maxDepth = 100

// jsonReader reads one JSON object token by token: encoding/json on its own
// would take the last of two equal keys, turn bytes that are no UTF-8 into
// others, and not know the line of a value that a key cannot have.
type jsonReader struct {
	name    string
	data    []byte
	decoder *json.Decoder
	keys    *keys
}

func parseJSON(name string, data []byte) (map[string]string, error) {
	if bad := firstInvalid(data); bad >= 0 {
		return nil, fmt.Errorf("%s: line %d: not UTF-8: take the keys with etcdctl get --prefix -w json, which encodes such values", name, lineAt(data, int64(bad)))
	}
	var whole json.RawMessage
	if err := json.Unmarshal(data, &whole); err != nil {
		return nil, jsonError(name, data, err)
	}
	if isEtcdctl(data) {
		return parseEtcdctl(name, data)
	}
	r := &jsonReader{name: name, data: data, decoder: json.NewDecoder(bytes.NewReader(data)), keys: newKeys(name)}
	r.decoder.UseNumber()
	if _, err := r.decoder.Token(); err != nil {
		return nil, r.fail(err)
	}
	if err := r.object("", 1); err != nil {
		return nil, err
	}
	return r.keys.result()
}

// object reads the members of an object whose brace has been read.
func (r *jsonReader) object(parent string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%s: line %d: more than %d levels", r.name, r.line(), maxDepth)
	}
	for r.decoder.More() {
		token, err := r.decoder.Token()
		if err != nil {
			return r.fail(err)
		}
		// Inside of an object the decoder lets nothing but a string pass here.
		name := token.(string)
		key, line := join(parent, name), r.line()
		if name == "" {
			r.keys.nameless(line)
		}
		if token, err = r.decoder.Token(); err != nil {
			return r.fail(err)
		}
		switch v := token.(type) {
		case string:
			r.keys.add(key, v, line)
		case json.Number:
			r.keys.add(key, v.String(), line)
		case bool:
			r.keys.add(key, strconv.FormatBool(v), line)
		case json.Delim:
			if v == '{' {
				if err := r.object(key, depth+1); err != nil {
					return err
				}
				continue
			}
			r.keys.reject(key, "an array", line)
			if err := r.skipArray(); err != nil {
				return err
			}
		default:
			r.keys.reject(key, "null", line)
		}
	}
	if _, err := r.decoder.Token(); err != nil {
		return r.fail(err)
	}
	return nil
}

// skipArray reads up to the end of an array whose bracket has been read.
func (r *jsonReader) skipArray() error {
	for open := 1; open > 0; {
		token, err := r.decoder.Token()
		if err != nil {
			return r.fail(err)
		}
		switch token {
		case json.Delim('['), json.Delim('{'):
			open++
		case json.Delim(']'), json.Delim('}'):
			open--
		}
	}
	return nil
}

// line is where the token ends that was read last.
func (r *jsonReader) line() int { return lineAt(r.data, r.decoder.InputOffset()) }

// fail is for what cannot happen: that the text is JSON is known.
func (r *jsonReader) fail(err error) error { return fmt.Errorf("%s: not JSON: %w", r.name, err) }

// jsonError says where data stops being one JSON value. The offsets of a
// decoder's own errors are of no use once it has read tokens.
func jsonError(name string, data []byte, err error) error {
	syntax, ok := errors.AsType[*json.SyntaxError](err)
	if !ok {
		return fmt.Errorf("%s: not JSON: %w", name, err)
	}
	var first json.RawMessage
	switch err := json.NewDecoder(bytes.NewReader(data)).Decode(&first); {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s: line %d: the file ends in the middle of the object", name, lineAt(data, int64(len(data))))
	case err == nil:
		line, _ := position(data, syntax.Offset-1)
		return fmt.Errorf("%s: line %d: there is more after the end of the object: a snapshot is one object", name, line)
	}
	line, column := position(data, syntax.Offset-1)
	return fmt.Errorf("%s: line %d, column %d: not JSON: %w", name, line, column, syntax)
}

// firstInvalid returns the offset of the first byte that is no UTF-8, or -1.
func firstInvalid(data []byte) int {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

// position returns the line and the column, both from 1, of the byte at offset.
func position(data []byte, offset int64) (line, column int) {
	before := data[:max(0, min(offset, int64(len(data))))]
	return lineAt(data, offset), 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
}

// lineAt is the line alone, which is asked for at every key: a snapshot may be one long line.
func lineAt(data []byte, offset int64) int {
	return 1 + bytes.Count(data[:max(0, min(offset, int64(len(data))))], []byte("\n"))
}
