package report

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
)

// Build says what this program is, as far as is known.
type Build struct {
	Version, GoVersion string
	Revision, Date     string // of the commit
	Modified           bool   // since then
}

// release is the version of a package or an image, which the linker sets.
var release string

// ReadBuild returns what this program is.
func ReadBuild() Build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Build{Version: "unknown"}
	}
	return newBuild(info)
}

func newBuild(info *debug.BuildInfo) Build {
	setting := make(map[string]string)
	for _, s := range info.Settings {
		setting[s.Key] = s.Value
	}
	b := Build{Version: cmp.Or(release, info.Main.Version), GoVersion: info.GoVersion, Revision: setting["vcs.revision"], Modified: setting["vcs.modified"] == "true"}
	b.Date, _, _ = strings.Cut(setting["vcs.time"], "T")
	if b.Version == "" || b.Version == "(devel)" {
		b.Version = "development build"
	}
	return b
}

// String says what was built, from what and with what.
func (b Build) String() string {
	line := "pc4patroni " + b.Version
	if b.Revision != "" {
		line += ", commit " + b.Revision[:min(12, len(b.Revision))]
		if b.Date != "" {
			line += " of " + b.Date
		}
		if b.Modified {
			line += " with local changes"
		}
	}
	return fmt.Sprintf("%s, %s %s/%s", line, b.GoVersion, runtime.GOOS, runtime.GOARCH)
}

// HostName returns the name of this host.
func HostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "this host"
	}
	return name
}
