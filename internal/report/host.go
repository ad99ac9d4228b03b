package report

import (
	"os"
	"runtime/debug"
)

// Build says what this program is.
type Build struct{ Version, Revision, GoVersion string }

// ReadBuild returns what this program is.
func ReadBuild() Build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Build{Version: "unknown"}
	}
	b := Build{Version: info.Main.Version, GoVersion: info.GoVersion}
	if b.Version == "" {
		b.Version = "(devel)"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			b.Revision = s.Value
		}
	}
	return b
}

// HostName returns the name of this host.
func HostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "this host"
	}
	return name
}
