package file

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/fsnotify/fsnotify"
)

// notices tells that something happened in a folder that decides what the
// files are. Folders are watched and not files, because programs replace files
// rather than write to them.
type notices struct {
	watcher *fsnotify.Watcher
	// happened holds a token after something happened.
	happened chan struct{}
	done     chan struct{}
}

// newNotices starts to watch. Where it fails, or knows no folder, the poll
// still finds every change.
func newNotices() (*notices, error) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	n := &notices{watcher: watcher, happened: make(chan struct{}, 1), done: make(chan struct{})}
	go n.run()
	return n, nil
}

func (n *notices) run() {
	defer close(n.done)
	for {
		select {
		case _, ok := <-n.watcher.Events:
			if !ok {
				return
			}
		case _, ok := <-n.watcher.Errors:
			// Too many events at once is one reason more to look.
			if !ok {
				return
			}
		}
		select {
		case n.happened <- struct{}{}:
		default:
		}
	}
}

// watch watches the folders of files as they are now; those that it knows from
// before it keeps. A link may lead elsewhere from one moment to the next.
func (n *notices) watch(files []string) error {
	var errs []error
	for _, file := range files {
		for _, folder := range folders(file) {
			errs = append(errs, n.watcher.Add(folder))
		}
	}
	return errors.Join(errs...)
}

func (n *notices) close() {
	_ = n.watcher.Close() // it was only read from
	<-n.done
}

// folders returns the folders in which an entry decides what file is: its own,
// that of every link on the way to it, and that of what it leads to. Kubernetes
// changes a mounted file by replacing a link to a folder further up.
func folders(file string) []string {
	const maxLinks = 40 // as Linux has it
	seen := map[string]bool{}
	var found []string
	add := func(folder string) {
		if !seen[folder] {
			seen[folder] = true
			found = append(found, folder)
		}
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		return []string{filepath.Dir(file)}
	}
	add(filepath.Dir(abs))
	rest := strings.Split(strings.TrimPrefix(abs, "/"), "/")
	at := "/"
	for links := 0; len(rest) > 0; {
		next := filepath.Join(at, rest[0])
		rest = rest[1:]
		info, err := os.Lstat(next)
		if err != nil {
			return found
		}
		if info.Mode()&os.ModeSymlink == 0 {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return found
		}
		add(at)
		target, err := os.Readlink(next)
		if err != nil {
			return found
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		rest = append(strings.Split(strings.Trim(target, "/"), "/"), rest...)
	}
	add(filepath.Dir(at))
	return found
}
