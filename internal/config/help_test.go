package config

import (
	"strings"
	"testing"
)

func TestHelp(t *testing.T) {
	for _, name := range []string{"pc4patroni", "confd"} {
		var b strings.Builder
		if err := (Invocation{Name: name}).WriteHelp(&b); err != nil {
			t.Fatal(err)
		}
		help := b.String()
		for line := range strings.SplitSeq(help, "\n") {
			if len(line) > 80 {
				t.Errorf("%d columns: %s", len(line), line)
			}
		}
		for _, o := range options {
			if strings.Count(help, "\n  -"+o.name+" ") != 1 {
				t.Errorf("-%s has not got its line in -help", o.name)
			}
			if o.help == "" || strings.HasSuffix(o.help, ".") || (o.isBool()) != (o.arg == "") {
				t.Errorf("-%s is not explained in the common form", o.name)
			}
			if def := (Invocation{Name: name}).defaultOf(o); !o.isBool() && !strings.Contains(help, def) {
				t.Errorf("default %s of -%s is not said", def, o.name)
			}
		}
		if !strings.Contains(help, "usage: "+name+" [flags]") {
			t.Errorf("help of %s calls the program something else", name)
		}
	}
}
