package file

import (
	"errors"
	"path/filepath"

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

// folders returns the folders in which a change replaces file: its own, where a
// link may be, and that of the file which the links lead to. A link to a folder
// further up is left to the poll.
func folders(file string) []string {
	found := []string{filepath.Dir(file)}
	if target, err := filepath.EvalSymlinks(file); err == nil {
		found = append(found, filepath.Dir(target))
	}
	return found
}
