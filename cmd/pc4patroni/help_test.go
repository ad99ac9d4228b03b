package main

import (
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

func TestHelp(t *testing.T) {
	for _, name := range []string{"pc4patroni", "confd"} {
		var b strings.Builder
		if err := (invocation{name: name}).printHelp(&b); err != nil {
			t.Fatal(err)
		}
		help := b.String()
		for line := range strings.SplitSeq(help, "\n") {
			if len(line) > 80 {
				t.Errorf("%d columns: %s", len(line), line)
			}
		}
		for i := range options {
			o := &options[i]
			if strings.Count(help, "\n  -"+o.name+" ") != 1 {
				t.Errorf("-%s has not got its line in -help", o.name)
			}
			if o.help == "" || strings.HasSuffix(o.help, ".") || (o.kind == aBool) != (o.arg == "") {
				t.Errorf("-%s is not explained in the common form", o.name)
			}
			if def := (invocation{name: name}).defaultOf(o); o.kind != aBool && !strings.Contains(help, def) {
				t.Errorf("default %s of -%s is not said", def, o.name)
			}
		}
		if !strings.Contains(help, "usage: "+name+" [flags]") {
			t.Errorf("help of %s calls the program something else", name)
		}
	}
}

func TestVersionLine(t *testing.T) {
	platform := ", go1.26.0 " + runtime.GOOS + "/" + runtime.GOARCH
	tests := []struct {
		name string
		info debug.BuildInfo
		want string
	}{
		{"release", debug.BuildInfo{GoVersion: "go1.26.0", Main: debug.Module{Version: "v1.2.3"}}, "pc4patroni v1.2.3" + platform},
		{"checkout", debug.BuildInfo{GoVersion: "go1.26.0", Main: debug.Module{Version: "(devel)"}, Settings: []debug.BuildSetting{
			{Key: "vcs.revision", Value: "55a15a2f00aa11bb22cc33dd44ee55ff66007788"},
			{Key: "vcs.time", Value: "2026-11-22T20:15:00Z"},
			{Key: "vcs.modified", Value: "true"},
		}}, "pc4patroni (devel), commit 55a15a2f00aa of 2026-11-22 with local changes" + platform},
		{"nothing known", debug.BuildInfo{GoVersion: "go1.26.0"}, "pc4patroni (devel)" + platform},
	}
	for _, tt := range tests {
		if got := versionLine(&tt.info); got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.name, got, tt.want)
		}
	}
}
