package install

import (
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// The names of the copies of a replaced file. The original is hidden, because
// it is made unasked, where a program may include every file that it sees.
func backupName(name string) string   { return name + ".bak" }
func originalName(name string) string { return "." + name + ".pc4patroni-orig" }

// keepCopies keeps copies of the file called name before it is replaced: one
// for each replacement if backup is set, and in any case one of the first file
// that this package did not write, whose path it returns.
//
// What this package writes carries the extended attribute user.pc4patroni.
// Nothing else tells its files from others without a database that goes stale.
// Some file systems have no such attributes (tmpfs before Linux 6.6, NFS before
// 4.2): there one copy is made of each target at its first replacement, even
// of a file of our own. There is never more than one original.
func (d *directory) keepCopies(name string, backup bool) (original string, err error) {
	have, err := d.statRegular(name)
	if err != nil || !have.Exists {
		return "", err
	}
	file, err := d.open(name, unix.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer file.Close()
	_, foreign := attribute(file, oursAttribute)
	kept, err := d.exists(originalName(name))
	if err != nil {
		return "", err
	}
	takeover := foreign != nil && !kept && have.Size > 0
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

// copy makes a whole and synced file called name, on the way of a staged one.
func (d *directory) copy(name string, want Want) error {
	file, ours, err := d.stage(name)
	if err != nil {
		return err
	}
	defer file.Close()
	defer d.drop(name, ours)
	if err := write(file, want.Data); err != nil {
		return explain(err, "write", d.join(stagedName(name)), d.path)
	}
	if err := d.setTime(stagedName(name), want.ModTime); err != nil {
		return err
	}
	if _, err := setMetadata(file, d.join(name), nil, State{}, want); err != nil {
		return err // whose copy it is, is no warning worth
	}
	if err := syncFile(file); err != nil {
		return explain(err, "sync", d.join(stagedName(name)), d.path)
	}
	if err := d.claim(name, ours); err != nil {
		return err
	}
	return d.renameClaimed(name)
}
