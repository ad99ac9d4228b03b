// Package sample adapts the built-in samples to a site and writes them: a resource
// file with its template, out of conf.d and templates at the root of the module.
package sample

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	samples "pc4patroni"
)

// Titles returns what each sample is for, by its name: the first line of its
// resource file.
func Titles() (map[string]string, error) {
	paths, err := fs.Glob(samples.Files, "conf.d/*.toml")
	if err != nil {
		return nil, err
	}
	titles := make(map[string]string)
	for _, file := range paths {
		resource, err := samples.Files.ReadFile(file)
		if err != nil {
			return nil, err
		}
		first, _, _ := strings.Cut(string(resource), "\n")
		titles[strings.TrimSuffix(path.Base(file), ".toml")] = strings.TrimPrefix(first, "# ")
	}
	return titles, nil
}

// File is a file of a sample.
type File struct {
	Path string // below the configuration directory
	Text []byte
}

// Files returns the resource file and the template of a sample. A prefix and a
// destDir that are not empty go into the resource file.
func Files(name, prefix, destDir string) ([]File, error) {
	file := "conf.d/" + name + ".toml"
	resource, err := samples.Files.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var declared struct {
		Template struct{ Src, Dest string }
	}
	if err := toml.Unmarshal(resource, &declared); err != nil {
		return nil, fmt.Errorf("read the sample %s: %w", name, err)
	}
	if prefix != "" {
		resource = setKey(resource, "prefix", "/"+strings.Trim(prefix, "/"))
	}
	if destDir != "" {
		resource = setKey(resource, "dest", filepath.Join(destDir, declared.Template.Dest))
	}
	src := "templates/" + declared.Template.Src
	tmpl, err := samples.Files.ReadFile(src)
	if err != nil {
		return nil, err
	}
	return []File{{file, resource}, {src, tmpl}}, nil
}

// setKey gives a key of a resource file another value, and leaves the rest of
// the file as it is.
func setKey(resource []byte, key, value string) []byte {
	quoted, _ := toml.Marshal(map[string]string{"x": value}) // a string can always be written
	_, quoted, _ = bytes.Cut(bytes.TrimSpace(quoted), []byte(" = "))
	line := regexp.MustCompile(`(?m)^(` + key + `\s*= ).*$`)
	return line.ReplaceAllFunc(resource, func(found []byte) []byte {
		return append(slices.Clone(line.FindSubmatch(found)[1]), quoted...)
	})
}

// ErrExist is wrapped by the error of Write where a file is there already.
var ErrExist = errors.New("already")

// Write creates files below dir, all of them or none, and returns their paths. It
// never replaces a file.
func Write(dir string, files []File) ([]string, error) {
	var paths, there []string
	for _, file := range files {
		name := filepath.Join(dir, file.Path)
		paths = append(paths, name)
		if _, err := os.Lstat(name); err == nil {
			there = append(there, name)
		}
	}
	if len(there) > 0 {
		return nil, fmt.Errorf("nothing was written, since there is %s %w", strings.Join(there, " and "), ErrExist)
	}
	for i, file := range files {
		if err := writeNew(paths[i], file.Text); err != nil {
			for _, written := range paths[:i] {
				err = errors.Join(err, os.Remove(written))
			}
			return nil, err
		}
	}
	return paths, nil
}

// writeNew creates a file, and its directory if that is missing. A file that
// could not be written in full is removed.
func writeNew(name string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return nil
}
