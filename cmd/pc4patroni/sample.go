package main

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
	"pc4patroni/internal/nearest"
)

// sample lists the built-in samples, prints one, or writes it to -confdir.
func (p *program) sample() error {
	paths, err := fs.Glob(samples.Files, "conf.d/*.toml")
	if err != nil {
		return err
	}
	var names []string
	for _, file := range paths {
		names = append(names, strings.TrimSuffix(path.Base(file), ".toml"))
	}
	slices.Sort(names)
	switch name := p.settings.Sample; {
	case name == "":
		return p.listSamples(names)
	case !slices.Contains(names, name):
		return &configError{fmt.Errorf("there is no sample %q%s; %s -sample lists them", name, nearest.Hint(name, slices.Values(names)), p.Name)}
	case p.settings.ConfDirTyped():
		return p.writeSample(name)
	default:
		return p.printSample(name)
	}
}

func (p *program) listSamples(names []string) error {
	for _, name := range names {
		resource, err := samples.Files.ReadFile("conf.d/" + name + ".toml")
		if err != nil {
			return err
		}
		first, _, _ := strings.Cut(string(resource), "\n")
		fmt.Fprintf(p.stdout, "%-19s %s\n", name, strings.TrimPrefix(first, "# "))
	}
	_, err := fmt.Fprintf(p.stdout, "\n%s -sample NAME prints one. To write it where it is read, for your cluster:\n"+
		"  %s -sample NAME -confdir %s -prefix /service/batman\n", p.Name, p.Name, p.settings.ConfDir)
	return err
}

func (p *program) printSample(name string) error {
	files, err := p.sampleFiles(name)
	if err != nil {
		return err
	}
	for i, file := range files {
		if i > 0 {
			fmt.Fprintln(p.stdout)
		}
		if _, err := fmt.Fprintf(p.stdout, "==> %s <==\n%s", file.path, file.text); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(p.stderr, "\nNext: write them with -confdir %s; -prefix sets your cluster.\n", p.settings.ConfDir)
	return err
}

// writeSample creates the files of a sample: all of them, or none.
func (p *program) writeSample(name string) error {
	files, err := p.sampleFiles(name)
	if err != nil {
		return err
	}
	var there []string
	for i := range files {
		files[i].path = filepath.Join(p.settings.ConfDir, files[i].path)
		if _, err := os.Lstat(files[i].path); err == nil {
			there = append(there, files[i].path)
		}
	}
	if len(there) > 0 {
		return &configError{fmt.Errorf("nothing was written, since there is %s already", strings.Join(there, " and "))}
	}
	for i, file := range files {
		if err := writeNew(file.path, file.text); err != nil {
			for _, written := range files[:i] {
				err = errors.Join(err, os.Remove(written.path))
			}
			return err
		}
	}
	for _, file := range files {
		fmt.Fprintf(p.stdout, "written: %s\n", file.path)
	}
	command := p.Name
	if dir := p.settings.ConfDir; dir != p.DefaultConfDir() {
		command += " -confdir " + dir
	}
	_, err = fmt.Fprintf(p.stdout, "Next: edit them; the comment at the top says what. Then %s -check,\n"+
		"%s -noop (what would change?), and %s to run it.\n", command, command, command)
	return err
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

type sampleFile struct {
	path string // below the configuration directory
	text []byte
}

// sampleFiles returns the resource file, with the prefix and the dest that the
// flags ask for, and its template.
func (p *program) sampleFiles(name string) ([]sampleFile, error) {
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
	if prefix := p.settings.Prefix; prefix != "" {
		resource = setKey(resource, "prefix", "/"+strings.Trim(prefix, "/"))
	}
	if dir := p.settings.DestDir; dir != "" {
		resource = setKey(resource, "dest", filepath.Join(dir, declared.Template.Dest))
	}
	src := "templates/" + declared.Template.Src
	tmpl, err := samples.Files.ReadFile(src)
	if err != nil {
		return nil, err
	}
	return []sampleFile{{file, resource}, {src, tmpl}}, nil
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
