package install

import (
	"errors"
	"fmt"
	"io/fs"
)

// A pending-reload marker is an empty file beside the target. There are two, not
// one with the kind in it, because only presence is atomic: it takes one system
// call, and what somebody else has put there is neither opened nor written. They
// are not synced: a power cut stops the reader of the target as well.
func reloadName(name string) string  { return "." + name + ".pc4patroni-reload" }
func partialName(name string) string { return "." + name + ".pc4patroni-partial" }

// Pending is what is left to do for a target.
type Pending int

const (
	// None: nothing.
	None Pending = iota
	// Reload: the target was replaced, or was about to be, and the program that
	// reads it has not been told.
	Reload
	// Partial: the target was being written in place, and may be half
	// written. Nothing may load it before it compares equal or has been
	// installed again.
	Partial
)

// PendingOf returns what is left to do for target.
func PendingOf(target string) (pending Pending, err error) {
	err = inDirectory(target, func(d *directory, name string) error {
		pending, err = d.pending(name)
		return err
	})
	return pending, unlessMissing(err)
}

func (d *directory) pending(name string) (Pending, error) {
	partial, err := d.exists(partialName(name))
	if err != nil || partial {
		return Partial, err
	}
	reload, err := d.exists(reloadName(name))
	if err != nil || !reload {
		return None, err
	}
	return Reload, nil
}

// SetPending marks the reload of target as pending. Install does so itself.
func SetPending(target string) error {
	return inDirectory(target, func(d *directory, name string) error { return d.mark(reloadName(name)) })
}

// mark makes the empty file marker, unless something has that name already.
func (d *directory) mark(marker string) error {
	file, err := d.create(marker)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("mark the reload as pending: %w", explain(err, "create", d.join(marker)))
	}
	return file.Close()
}

// ClearPending records that target is right, and that its reader has been told.
func ClearPending(target string) error {
	return unlessMissing(inDirectory(target, func(d *directory, name string) error {
		if err := d.remove(partialName(name)); err != nil {
			return err
		}
		return d.remove(reloadName(name))
	}))
}
