package report

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestBuild(t *testing.T) {
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
		}}, "pc4patroni development build, commit 55a15a2f00aa of 2026-11-22 with local changes" + platform},
		{"nothing known", debug.BuildInfo{GoVersion: "go1.26.0"}, "pc4patroni development build" + platform},
	}
	for _, tt := range tests {
		if got := newBuild(&tt.info).String(); got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.name, got, tt.want)
		}
	}
}
