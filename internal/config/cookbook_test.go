package config

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	repositoryDir = "../.."
	cookbookDir   = repositoryDir + "/docs/cookbook"
)

// What a page of the cookbook can name that must exist.
var (
	fileOfRepository = regexp.MustCompile(`(?:conf\.d|templates|packaging|sample)/[\w.-]*[\w]`)
	sampleByName     = regexp.MustCompile("`([\\w-]+\\.toml)`")
	sampleWritten    = regexp.MustCompile(`-sample ([\w-]+) -confdir`)
	srcOfSample      = regexp.MustCompile(`(?m)^src\s*=\s*"([^"]+)"`)
	commandOfOurs    = regexp.MustCompile("(?m)(?:^[#$] |`)pc4patroni((?: [^|`;&\n]+)?)")
	flagOfOurs       = regexp.MustCompile(`(?:^| )-{1,2}([a-z][a-z-]*)`)
	flagByItself     = regexp.MustCompile("`-([a-z][a-z-]+)(?: [^`]*)?`")
)

// TestCookbook finds files, flags and samples that the cookbook names
// and that are not there, and samples that it does not name.
func TestCookbook(t *testing.T) {
	pages, err := filepath.Glob(cookbookDir + "/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	named := make(map[string]bool)
	var index string
	for _, page := range pages {
		text := readText(t, page)
		name := filepath.Base(page)
		if name == "README.md" {
			index = text
		}
		for _, file := range fileOfRepository.FindAllString(text, -1) {
			if !inRepository(file) && !strings.Contains(file, "NAME") {
				t.Errorf("%s names %s, which is not there", name, file)
			}
			named[path.Base(file)] = true
		}
		for _, match := range sampleByName.FindAllStringSubmatch(text, -1) {
			if !inRepository("conf.d/" + match[1]) {
				t.Errorf("%s names the sample %s, which is not there", name, match[1])
			}
			named[match[1]] = true
		}
		for _, match := range sampleWritten.FindAllStringSubmatch(text, -1) {
			resource := "conf.d/" + match[1] + ".toml"
			if !inRepository(resource) {
				t.Errorf("%s writes the sample %s, which is not there", name, match[1])
				continue
			}
			named[path.Base(resource)] = true
			if src := srcOfSample.FindStringSubmatch(readText(t, filepath.Join(repositoryDir, resource))); src != nil {
				named[src[1]] = true
			}
		}
		for _, match := range commandOfOurs.FindAllStringSubmatch(text, -1) {
			for _, flag := range flagOfOurs.FindAllStringSubmatch(match[1], -1) {
				checkFlag(t, name, flag[1])
			}
		}
		for _, match := range flagByItself.FindAllStringSubmatch(text, -1) {
			if match[1] != "sf" { // HAProxy's
				checkFlag(t, name, match[1])
			}
		}
	}
	for _, page := range pages {
		if name := filepath.Base(page); name != "README.md" && !strings.Contains(index, "("+name) {
			t.Errorf("the index has no link to %s", name)
		}
	}
	samples := 0
	for _, dir := range []string{"conf.d", "templates"} {
		err := fs.WalkDir(os.DirFS(repositoryDir), dir, func(file string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				samples++
				if !named[path.Base(file)] {
					t.Errorf("no page names %s", file)
				}
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	if samples == 0 {
		t.Error("there are no samples")
	}
}

func inRepository(file string) bool {
	_, err := os.Stat(filepath.Join(repositoryDir, file))
	return err == nil
}

func checkFlag(t *testing.T, page, name string) {
	t.Helper()
	known := slices.ContainsFunc(options, func(o *option) bool { return o.name == name })
	if !known && name != "help" {
		t.Errorf("%s names the flag -%s, which is not there", page, name)
	}
}

func readText(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
