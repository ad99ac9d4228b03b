package check

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"pc4patroni/resource"
	"pc4patroni/resource/install"
)

// warnings says what is allowed in a resource but rarely meant, such as missing
// keys, and what keeps this user on this host from applying it.
func warnings(res *resource.Resource, missing []string, opts Options) []string {
	var found []string
	warn := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	// Commands have no other data than .src and .dest.
	if res.CheckCmd != "" && !strings.Contains(res.CheckCmd, ".src") {
		warn("check_cmd does not mention {{.src}}, so it does not see the new file before it is installed")
	}
	if res.CheckCmd == "" && res.ReloadCmd != "" {
		warn("there is no check_cmd: a file that the proxy refuses would be installed all the same")
	}
	for _, key := range missing {
		warn("the template asks for %s, which keys leaves out: add %q", key, key)
	}
	found = append(found, jinjaWarnings(filepath.Join(opts.TemplateDir, filepath.FromSlash(res.Src)))...)
	found = append(found, res.Warnings(opts.FromConfd)...)
	if opts.DestDir == "" {
		found = append(found, destWarnings(res)...)
	}
	return found
}

// destWarnings says what keeps this user from replacing dest, and who else can.
func destWarnings(res *resource.Resource) []string {
	target, err := install.Resolve(res.Dest, "")
	if err == nil {
		_, err = install.Preflight(target, install.Want{UID: res.UID, GID: res.GID, Mode: res.Mode}, res.CreateDirs)
	}
	if err != nil {
		return []string{fmt.Sprintf("on this host, dest cannot be replaced: %v", err)}
	}
	var found []string
	const others, sticky = 0o002, os.ModeSticky
	dir := filepath.Dir(target)
	if info, err := os.Stat(dir); err == nil && info.Mode()&others != 0 && info.Mode()&sticky == 0 {
		found = append(found, fmt.Sprintf("every user may replace files in %s: chmod o-w %s", dir, dir))
	}
	if info, err := os.Stat(target); err == nil && info.Mode()&others != 0 && res.Mode&others != 0 {
		found = append(found, fmt.Sprintf("every user may write %s: set mode, for example to \"0644\"", target))
	}
	return found
}

// jinja matches the statements of Jinja, which a template of Go copies as they stand.
var jinja = regexp.MustCompile(`\{%-?\s*\w+`)

// jinjaWarnings points out what is left of a Jinja template.
func jinjaWarnings(path string) []string {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil // reading it again would fail as well, and say so
	}
	var found []string
	for i, line := range strings.Split(string(data), "\n") {
		if statement := jinja.FindString(line); statement != "" {
			found = append(found, fmt.Sprintf("%s: line %d: %q is Jinja and is copied as it stands (docs/migration.md shows what to write)", path, i+1, statement))
		}
	}
	return found
}
