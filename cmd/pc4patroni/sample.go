package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"pc4patroni/internal/nearest"
	"pc4patroni/internal/sample"
)

// sample lists the built-in samples, prints one, or writes it to -confdir.
func (p *program) sample() error {
	titles, err := sample.Titles()
	if err != nil {
		return err
	}
	name := p.settings.Sample
	if name == "" {
		return p.listSamples(titles)
	}
	if titles[name] == "" {
		hint := nearest.Hint(name, slices.Sorted(maps.Keys(titles)))
		return &configError{fmt.Errorf("there is no sample %q%s; %s -sample lists them", name, hint, p.Name)}
	}
	files, err := sample.Files(name, p.settings.Prefix, p.settings.DestDir)
	if err != nil {
		return err
	}
	if p.settings.ConfDirTyped() {
		return p.writeSample(files)
	}
	return p.printSample(files)
}

func (p *program) listSamples(titles map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(titles)) {
		fmt.Fprintf(p.stdout, "%-19s %s\n", name, titles[name])
	}
	_, err := fmt.Fprintf(p.stdout, "\n%s -sample NAME prints one. To write it where it is read, for your cluster:\n"+
		"  %s -sample NAME -confdir %s -prefix /service/batman\n", p.Name, p.Name, p.settings.ConfDir)
	return err
}

func (p *program) printSample(files []sample.File) error {
	for i, file := range files {
		if i > 0 {
			fmt.Fprintln(p.stdout)
		}
		if _, err := fmt.Fprintf(p.stdout, "==> %s <==\n%s", file.Path, file.Text); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(p.stderr, "\nNext: write them with -confdir %s; -prefix sets your cluster.\n", p.settings.ConfDir)
	return err
}

func (p *program) writeSample(files []sample.File) error {
	paths, err := sample.Write(p.settings.ConfDir, files)
	if errors.Is(err, sample.ErrExist) {
		return &configError{err}
	}
	if err != nil {
		return err
	}
	for _, path := range paths {
		fmt.Fprintf(p.stdout, "written: %s\n", path)
	}
	command := p.Name
	if dir := p.settings.ConfDir; dir != p.DefaultConfDir() {
		command += " -confdir " + dir
	}
	_, err = fmt.Fprintf(p.stdout, "Next: edit them; the comment at the top says what. Then %s -check,\n"+
		"%s -noop (what would change?), and %s to run it.\n", command, command, command)
	return err
}
