package main

import (
	"bufio"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
)

// helpColumn is where the explanations of -help begin.
const helpColumn = 27

// printHelp writes the explanation of every option, one line each, in at most
// 80 columns.
func (inv invocation) printHelp(w io.Writer) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "%s keeps configuration files true to Patroni's clusters in etcd.\n\n", inv.name)
	fmt.Fprintf(out, "usage: %s [flags]\n", inv.name)
	var heading group
	for i := range options {
		o := &options[i]
		if o.group != heading {
			heading = o.group
			fmt.Fprintf(out, "\n%s\n", heading)
		}
		left := "  -" + o.name
		if o.arg != "" {
			left += " " + o.arg
		}
		fmt.Fprintf(out, "%-*s%s%s\n", helpColumn, left, o.help, inv.helpDefault(o))
	}
	fmt.Fprint(out, `
TIME is a number of seconds, or a duration such as 1m30s.
Every flag is a key of the configuration file too (dashes or underscores), and
a variable of the environment: -log-level is PC4PATRONI_LOG_LEVEL. A flag wins
over the environment, the environment over the file.

Exit status: 0 in sync or applied; 1 a resource failed or is held; 2 usage or
configuration; 3 no backend; 4 changes are pending (-noop -exit-code).
`)
	return out.Flush()
}

// helpDefault says the default where the explanation does not.
func (inv invocation) helpDefault(o *option) string {
	def := inv.defaultOf(o)
	if def == "" || o.kind == aBool || strings.Contains(o.help, def) {
		return ""
	}
	long := " (default " + def + ")"
	if helpColumn+len(o.help)+len(long) <= 80 {
		return long
	}
	return "\n" + strings.Repeat(" ", helpColumn) + "(default " + def + ")"
}

// versionLine says what was built, from what and with what.
func versionLine(info *debug.BuildInfo) string {
	setting := make(map[string]string)
	for _, s := range info.Settings {
		setting[s.Key] = s.Value
	}
	version := info.Main.Version
	if version == "" {
		version = "(devel)"
	}
	line := "pc4patroni " + version
	if revision := setting["vcs.revision"]; revision != "" {
		line += ", commit " + revision[:min(12, len(revision))]
		if date, _, ok := strings.Cut(setting["vcs.time"], "T"); ok {
			line += " of " + date
		}
		if setting["vcs.modified"] == "true" {
			line += " with local changes"
		}
	}
	return fmt.Sprintf("%s, %s %s/%s", line, info.GoVersion, runtime.GOOS, runtime.GOARCH)
}
