package config

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// helpColumn is where the explanations of -help begin.
const helpColumn = 27

// WriteHelp writes the explanation of every option, one line each, in at most
// 80 columns.
func (inv Invocation) WriteHelp(w io.Writer) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "%s rewrites the configuration of PgBouncer, HAProxy and other proxies\n"+
		"and reloads them when a Patroni cluster changes.\n\n", inv.Name)
	fmt.Fprintf(out, "usage: %s [flags]\n", inv.Name)
	var heading group
	for _, o := range options {
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
Flags can also be set in the configuration file (dashes or underscores) and in
the environment: -log-level is PC4PATRONI_LOG_LEVEL. A flag wins over the
environment, the environment over the file.

Exit status: 0 in sync or applied; 1 a resource failed or is held; 2 usage or
configuration; 3 no backend; 4 changes are pending (-noop -exit-code).
`)
	return out.Flush()
}

// helpDefault says the default where the explanation does not.
func (inv Invocation) helpDefault(o *option) string {
	def := inv.defaultOf(o)
	if def == "" || o.isBool() || strings.Contains(o.help, def) {
		return ""
	}
	long := " (default " + def + ")"
	if helpColumn+len(o.help)+len(long) <= 80 {
		return long
	}
	return "\n" + strings.Repeat(" ", helpColumn) + "(default " + def + ")"
}
