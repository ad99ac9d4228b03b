package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// versionLine says what was built, from what and with what.
func versionLine(info *debug.BuildInfo) string {
	setting := make(map[string]string)
	for _, s := range info.Settings {
		setting[s.Key] = s.Value
	}
	version := info.Main.Version
	if version == "" || version == "(devel)" {
		version = "development build"
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
