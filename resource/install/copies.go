package install

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"golang.org/x/sys/unix"
)

// The names of the copies of a replaced file. The original is hidden, because
// nobody asked for it, and a program may include every file that it sees.
func backupName(name string) string   { return name + ".bak" }
func originalName(name string) string { return "." + name + ".pc4patroni-orig" }

// keepCopies copies the file called name before it is replaced: each time if
// backup is set, and in any case the first time that it is a file that this
// package did not write. Then it returns the path of that copy, the original.
//
// What this package writes carries the extended attribute user.pc4patroni: a
// database of our files would go stale. On file systems without such attributes
// (tmpfs before Linux 6.6, NFS before 4.2) a file of our own is copied, too, at its
// first replacement. There is never more than one original.
//
// A hard link instead of a copy would not do: it would share what is written in
// place, and the kernel refuses one to a file of somebody else's
// (fs.protected_hardlinks).
func (d *directory) keepCopies(name string, backup bool) (original string, err error) {
	file, have, err := d.open(name, unix.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer file.Close()
	kept, err := d.exists(originalName(name))
	if err != nil {
		return "", err
	}
	takeover := !kept && have.Size > 0 && !isOurs(file)
	if !takeover && !backup {
		return "", nil
	}
	data, err := io.ReadAll(file)
	if err != nil {
		return "", fmt.Errorf("copy a file before it is replaced: %w", err)
	}
	want := Want{Data: data, UID: have.UID, GID: have.GID, Mode: have.Mode, ModTime: have.ModTime()}
	if backup {
		if err := d.copy(backupName(name), want); err != nil {
			return "", err
		}
	}
	if takeover {
		if err := d.copy(originalName(name), want); err != nil {
			return "", err
		}
		original = d.join(originalName(name))
	}
	// The copies' names before the target's new one: otherwise a power cut could
	// leave neither the old content nor a copy of it.
	return original, d.sync()
}

// copy makes a whole and synced file called name.
func (d *directory) copy(name string, want Want) error {
	s, err := d.stage(name, nil, State{}, want) // the wrong owner of a copy is not worth a warning
	if err != nil {
		return err
	}
	if err = s.Sync(); err == nil {
		err = s.replace(false)
	}
	if err != nil {
		s.remove()
	}
	return err
}
