package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"unicode/utf8"
)

// dump writes the keys as a snapshot: a JSON object of key and value, which
// -file reads back.
func (p *program) dump(ctx context.Context) error {
	set, readings, err := p.toRead()
	if err != nil {
		return err
	}
	if set != nil {
		for _, broken := range set.Broken {
			p.log.Error("resource cannot be used", "resource", broken.Name, "err", broken.Err)
		}
		if len(set.Resources) == 0 {
			return errNoneUsable
		}
	}
	if err := p.readAll(ctx, readings); err != nil {
		return err
	}
	values, err := merge(readings)
	if err != nil {
		return err
	}
	if len(values) == 0 {
		// A slip in the prefix must not replace a good snapshot.
		return p.nothingBelow(ctx, readings)
	}
	// json writes the keys of a map in their order. Without the escapes that
	// HTML needs, values stay readable.
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(values); err != nil {
		return fmt.Errorf("write the snapshot: %w", err)
	}
	if p.settings.DumpFile == "-" {
		_, err := p.stdout.Write(b.Bytes())
		return err
	}
	if err := writePrivately(p.settings.DumpFile, b.Bytes()); err != nil {
		return fmt.Errorf("write the snapshot: %w", err)
	}
	p.log.Info("snapshot written", "file", p.settings.DumpFile, "keys", len(values))
	return nil
}

// merge brings the keys of all backends together.
func merge(readings []reading) (map[string]string, error) {
	values := make(map[string]string)
	from := make(map[string]string)
	for _, r := range readings {
		if r.err != nil {
			return nil, r.err
		}
		for key, value := range r.values {
			if have, ok := values[key]; ok && have != value {
				return nil, fmt.Errorf("key %q differs between %s and %s: dump them one by one, with -prefix and -node", key, from[key], r.backend)
			}
			if !utf8.ValidString(key) || !utf8.ValidString(value) {
				return nil, fmt.Errorf("key %q in %s is not UTF-8, and a snapshot can only hold text", key, r.backend)
			}
			values[key], from[key] = value, r.backend
		}
	}
	return values, nil
}

// writePrivately replaces a file at once by one that only its owner can read:
// values of keys may hold what is nobody else's business. What is not a
// regular file, such as a pipe, is written to as it is.
func writePrivately(path string, data []byte) (err error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.Write(data)
		return errors.Join(err, f.Close())
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
