package samples

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	linkInLine    = regexp.MustCompile(`\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)`)
	linkReference = regexp.MustCompile(`^ {0,3}\[[^\]]+\]:\s*<?([^\s>]+)`)
	linkInHTML    = regexp.MustCompile(`(?:src|href)="([^"]+)"`)
	codeSpan      = regexp.MustCompile("`[^`]*`")
	heading       = regexp.MustCompile(`^#{1,6}\s+(.*?)\s*#*$`)
	htmlAnchor    = regexp.MustCompile(`<a (?:id|name)="([^"]+)"`)
	notInAnchor   = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// TestLinks follows every link of the documentation: the file has to be there, and
// the heading in it. Of a link to elsewhere only the form is looked at.
func TestLinks(t *testing.T) {
	pages := []string{"README.md", "CONTRIBUTING.md"}
	err := filepath.WalkDir("docs", func(name string, _ fs.DirEntry, err error) error {
		if filepath.Ext(name) == ".md" {
			pages = append(pages, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	links := 0
	for _, page := range pages {
		prose := proseOf(t, page)
		for _, line := range prose {
			line = codeSpan.ReplaceAllString(line, "")
			found := slices.Concat(linkInLine.FindAllStringSubmatch(line, -1), linkReference.FindAllStringSubmatch(line, -1), linkInHTML.FindAllStringSubmatch(line, -1))
			for _, match := range found {
				links++
				if err := follow(t, page, match[1]); err != nil {
					t.Errorf("%s: link to %s: %v", page, match[1], err)
				}
			}
		}
	}
	if links < 50 {
		t.Errorf("only %d links in %d pages were found", links, len(pages))
	}
}

// follow looks for what a link on a page leads to.
func follow(t *testing.T, page, link string) error {
	u, err := url.Parse(link)
	switch {
	case err != nil:
		return err
	case u.Scheme == "mailto":
		return nil
	case u.Scheme != "" || u.Host != "":
		if u.Scheme != "https" && u.Scheme != "http" || !strings.Contains(u.Hostname(), ".") {
			return fmt.Errorf("not the address of a web page")
		}
		return nil
	case strings.HasPrefix(u.Path, "/"):
		return fmt.Errorf("not relative to the page")
	}
	target := page
	if u.Path != "" {
		target = filepath.Join(filepath.Dir(page), u.Path)
	}
	if !filepath.IsLocal(target) {
		return fmt.Errorf("leads out of the repository")
	}
	if _, err := os.Stat(target); err != nil {
		return err
	}
	if u.Fragment != "" && !slices.Contains(anchors(proseOf(t, target)), u.Fragment) {
		return fmt.Errorf("%s has no such heading", target)
	}
	return nil
}

// anchors are the names that GitHub gives to the headings of a page, and those
// that the page gives itself.
func anchors(prose []string) (names []string) {
	times := make(map[string]int)
	for _, line := range prose {
		if match := heading.FindStringSubmatch(line); match != nil {
			// A link in a heading counts by its text.
			text := regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`).ReplaceAllString(match[1], "$1")
			name := strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(text), ""), " ", "-")
			if n := times[name]; n > 0 {
				names = append(names, fmt.Sprintf("%s-%d", name, n))
			} else {
				names = append(names, name)
			}
			times[name]++
		}
		for _, match := range htmlAnchor.FindAllStringSubmatch(line, -1) {
			names = append(names, match[1])
		}
	}
	return names
}

// proseOf returns the lines of a page without its blocks of code.
func proseOf(t *testing.T, page string) (prose []string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	inCode := false
	for line := range strings.SplitSeq(string(text), "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			inCode = !inCode
			continue
		}
		if !inCode {
			prose = append(prose, line)
		}
	}
	if inCode {
		t.Errorf("%s: a block of code has no end", page)
	}
	return prose
}
