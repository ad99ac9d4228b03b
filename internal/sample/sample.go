// Package sample adapts the built-in samples to a site and writes them: a resource
// file with its template, out of conf.d and templates at the root of the module.
package sample

import (
	"bytes"
	"errors"
	"fmt"
	"io"
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

// Names returns the names of the samples, sorted.
func Names() ([]string, error) {
	paths, err := fs.Glob(samples.Files, "conf.d/*.toml")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, file := range paths {
		names = append(names, strings.TrimSuffix(path.Base(file), ".toml"))
	}
	slices.Sort(names)
	return names, nil
}

// Title returns what a sample is for: the first line of its resource file.
func Title(name string) (string, error) {
	resource, err := samples.Files.ReadFile("conf.d/" + name + ".toml")
	first, _, _ := strings.Cut(string(resource), "\n")
	return strings.TrimPrefix(first, "# "), err
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

// ExistError says which files of a sample are there already.
type ExistError struct{ Paths []string }

func (e *ExistError) Error() string {
	return "nothing was written, since there is " + strings.Join(e.Paths, " and ") + " already"
}

// Write creates files below dir, all of them or none, and returns their paths. It
// never replaces a file: the error is an *ExistError then.
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
		return nil, &ExistError{there}
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
	_, err = io.Copy(f, bytes.NewReader(text))
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return nil
}
