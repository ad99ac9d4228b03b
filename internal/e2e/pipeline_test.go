package e2e

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pc4patroni/internal/proctest"
)

// TestPipelines runs the jobs of docs/ci.md over a repository: with what it renders
// committed they pass, after a change of a template they do not.
func TestPipelines(t *testing.T) {
	page := proctest.Read(t, proctest.Repository(t), "docs", "ci.md")
	jobs := map[string]*regexp.Regexp{
		"GitHub": regexp.MustCompile(`(?m)^ +- run: (.+)$`),
		"GitLab": regexp.MustCompile(`(?m)^ +- (pc4patroni .+)$`),
	}
	update := regexp.MustCompile(`(?m)^ {4}(pc4patroni -onetime .+)$`).FindStringSubmatch(page)
	if update == nil {
		t.Fatal("docs/ci.md does not say how to bring rendered/ up to date")
	}
	for name, steps := range jobs {
		t.Run(name, func(t *testing.T) {
			var script []string
			for _, step := range steps.FindAllStringSubmatch(page, -1) {
				script = append(script, step[1])
			}
			if len(script) != 2 {
				t.Fatalf("docs/ci.md has the steps %q", script)
			}
			dir := proctest.WorkDir(t)
			write := func(content string, elem ...string) { proctest.Write(t, content, append([]string{dir}, elem...)...) }
			write(`{"/service/batman/leader": "db1", "/service/batman/members/db1": "{\"conn_url\":\"postgres://10.0.0.1:5432/postgres\",\"state\":\"running\",\"role\":\"primary\"}"}`, "clusters.json")
			write("[template]\nprefix = \"/service/batman\"\nsrc = \"a.tmpl\"\ndest = \"/etc/a.conf\"\n", "conf.d", "a.toml")
			write("server {{primary.Addr}}\n", "templates", "a.tmpl")
			path := filepath.Dir(proctest.Binary(t))
			run := func(script ...string) (string, error) {
				cmd := exec.CommandContext(t.Context(), "/bin/sh", "-ec", strings.Join(script, "\n"))
				cmd.Dir, cmd.Env = dir, []string{"PATH=" + path + ":/usr/bin:/bin"}
				out, err := cmd.CombinedOutput()
				return string(out), err
			}
			if out, err := run(script...); err == nil {
				t.Errorf("nothing is rendered, and the job passes:\n%s", out)
			}
			if out, err := run(update[1]); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if out, err := run(script...); err != nil {
				t.Errorf("the job fails with all up to date: %v\n%s", err, out)
			}
			write("server {{primary.Addr}} # new\n", "templates", "a.tmpl")
			if out, err := run(script...); err == nil || !strings.Contains(out, "+server 10.0.0.1:5432 # new") {
				t.Errorf("a change that is not rendered: %v\n%s", err, out)
			}
			write("server {{primary.Adr}}\n", "templates", "a.tmpl")
			if out, err := run(script...); err == nil || !strings.Contains(out, "templates/a.tmpl:1:") {
				t.Errorf("a misspelt field: %v\n%s", err, out)
			}
		})
	}
}
