package install

import "fmt"

// A pending-reload marker is a pair of empty files beside the target. Only
// their presence counts: setting one is a single system call that is done or
// not done when this process is killed, and one that somebody else has put
// there is neither opened nor written. They are not synced: a power cut stops
// the reader of the target too, and only a crash of this process must not lose
// them.
const (
	reloadSuffix  = ".pc4patroni-reload"
	partialSuffix = ".pc4patroni-partial"
)

// Pending is what is left to do for a target.
type Pending int

const (
	// None: nothing is.
	None Pending = iota
	// Reload: the target was replaced, or was about to be, and the program that
	// reads it has not been told.
	Reload
	// Partial: the target was being written in place, and may be half of
	// what it should be. Nobody must load it before it compares equal or has
	// been installed again.
	Partial
)

// PendingOf returns what is left to do for target.
func PendingOf(target string) (Pending, error) {
	d, name, err := openTarget(target)
	if _, ok := err.(*missingDirectoryError); ok {
		return None, nil
	}
	if err != nil {
		return None, err
	}
	defer d.close()
	return d.pending(name)
}

func (d *directory) pending(name string) (Pending, error) {
	for _, marker := range []struct {
		name    string
		pending Pending
	}{{partialName(name), Partial}, {reloadName(name), Reload}} {
		switch set, err := d.exists(marker.name); {
		case err != nil:
			return None, err
		case set:
			return marker.pending, nil
		}
	}
	return None, nil
}

// mark makes the empty file marker, if nothing is there under its name.
func (d *directory) mark(marker string) error {
	if err := step("mark " + marker); err != nil {
		return err
	}
	if set, err := d.exists(marker); err != nil || set {
		return err
	}
	file, err := d.create(marker)
	if err != nil {
		return fmt.Errorf("mark the reload as pending: %w", err)
	}
	return file.Close()
}

// SetPending marks the reload of target as pending. Install does so itself.
func SetPending(target string) error {
	d, name, err := openTarget(target)
	if err != nil {
		return err
	}
	defer d.close()
	return d.mark(reloadName(name))
}

// ClearPending says that target is right, and that its reader has been told.
func ClearPending(target string) error {
	d, name, err := openTarget(target)
	if _, ok := err.(*missingDirectoryError); ok {
		return nil
	}
	if err != nil {
		return err
	}
	defer d.close()
	if _, err := d.remove(partialName(name)); err != nil {
		return err
	}
	_, err = d.remove(reloadName(name))
	return err
}

func reloadName(name string) string { return "." + name + reloadSuffix }

func partialName(name string) string { return "." + name + partialSuffix }
