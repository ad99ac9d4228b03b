package resource

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// markSuffix ends the name of the mark of an owed reload.
const markSuffix = ".pc4patroni-reload"

// markPath returns the path of the small file beside target that says: the
// file was, or was about to be, replaced, and the program that reads it has
// not yet been told. It is empty, so that a full disk rarely matters to it.
// It is not synced: a power cut restarts the proxy too, and only a crash of
// this program must not lose it.
func markPath(target string) string {
	dir, base := filepath.Split(target)
	return dir + "." + base + markSuffix
}

// setMark sets the mark of target. A partial one says in addition that target
// is being written in place, so that half of it may be found after a crash.
func setMark(target string, partial bool) error {
	text := ""
	if partial {
		text = "partial\n"
	}
	// The directory may belong to somebody else, the proxy's user for one: a
	// link that lies in wait there must not lead us to another file.
	file, err := os.OpenFile(markPath(target), os.O_WRONLY|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("mark the reload as owed: %w", err)
	}
	if _, err := file.WriteString(text); err != nil {
		_ = file.Close() // the first error is the one that matters
		return fmt.Errorf("mark the reload as owed: %w", err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("mark the reload as owed: %w", err)
	}
	return nil
}

// isPartial tells whether the mark of target is a partial one.
func isPartial(target string) bool {
	text, err := os.ReadFile(markPath(target))
	return err == nil && len(text) > 0
}

func hasMark(target string) bool {
	_, err := os.Lstat(markPath(target))
	return err == nil
}

func removeMark(target string) error {
	err := os.Remove(markPath(target))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
