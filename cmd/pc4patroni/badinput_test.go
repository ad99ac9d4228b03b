package main

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// Beside each bad resource of a script lies this good one.
const (
	goodResource = `[template]
prefix = "/service/batman"
src    = "good.tmpl"
dest   = "$WORK/out/good.conf"
`
	goodTemplate = "primary {{primary.Addr}}\n"
	goodContent  = "primary 10.0.0.1:5432\n"
	oldContent   = "what was there before\n"
)

// apply runs what issue 2 asks of bad input:
//
//	apply STATUS NAME FLAG...
//
// runs pc4patroni -onetime on a good resource and on the bad one in
// resources/NAME*.toml, which keeps $WORK/out/NAME.conf, and wants the exit
// status, the good file in place, the file of the bad resource untouched, and
// nothing else in its folder. What the program said is left for stderr.
func apply(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: apply STATUS NAME FLAG...")
	}
	status, name, flags := args[0], args[1], args[2:]
	work := ts.Getenv("WORK")
	out := filepath.Join(work, "out")
	confdir := filepath.Join(work, "confdir")
	ts.Check(os.RemoveAll(out))
	ts.Check(os.RemoveAll(confdir))
	for _, dir := range []string{out, filepath.Join(confdir, "conf.d")} {
		ts.Check(os.MkdirAll(dir, 0o777))
	}
	templates := filepath.Join(work, "templates")
	ts.Check(os.MkdirAll(templates, 0o777))
	ts.Check(os.Symlink(templates, filepath.Join(confdir, "templates")))
	write := func(path, text string) { ts.Check(os.WriteFile(path, []byte(text), 0o644)) }
	write(filepath.Join(templates, "good.tmpl"), goodTemplate)
	write(filepath.Join(confdir, "conf.d", "good.toml"), strings.ReplaceAll(goodResource, "$WORK", work))
	bad, err := filepath.Glob(filepath.Join(work, "resources", name+"*.toml"))
	ts.Check(err)
	for _, path := range bad {
		write(filepath.Join(confdir, "conf.d", filepath.Base(path)), strings.ReplaceAll(ts.ReadFile(path), "$WORK", work))
	}
	old := filepath.Join(out, name+".conf")
	write(old, oldContent)
	before, err := os.Stat(old)
	ts.Check(err)

	flags = append([]string{"pc4patroni", "-onetime", "-confdir", confdir, "-log-format", "text"}, flags...)
	if !slices.Contains(flags, "-node") {
		flags = append(flags, "-file", filepath.Join(work, "keys.toml"))
	}
	exits(ts, false, append([]string{status}, flags...))

	if got := ts.ReadFile(filepath.Join(out, "good.conf")); got != goodContent {
		ts.Fatalf("good.conf holds %q, want %q", got, goodContent)
	}
	after, err := os.Stat(old)
	ts.Check(err)
	if got := ts.ReadFile(old); got != oldContent || !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) {
		ts.Fatalf("%s was touched: it holds %q", old, got)
	}
	files(ts, false, []string{out, "good.conf", name + ".conf"})
}

// expand FILE... replaces $WORK in files by the folder of the script.
func expand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: expand FILE...")
	}
	for _, name := range args {
		text := strings.ReplaceAll(ts.ReadFile(name), "$WORK", ts.Getenv("WORK"))
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o644))
	}
}

// lines N FILE wants that number of lines.
func lines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: lines N FILE")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := strings.Count(ts.ReadFile(args[1]), "\n"); got != want {
		ts.Fatalf("%s has %d lines, want %d", args[1], got, want)
	}
}
