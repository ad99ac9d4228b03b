package install

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// overwrite writes want into the existing file called name, which is a mount
// point, and on failure puts the old data back. The marker, which was before
// when this began, says Partial for as long as the file may be half of
// something, and Reload for as long as its bytes may have changed.
func (d *directory) overwrite(name string, want Want, before Pending) (warnings []Warning, err error) {
	unchanged := func(err error) error { return errors.Join(err, d.restoreMarker(name, before)) }
	file, err := d.open(name, unix.O_RDWR)
	if err != nil {
		return nil, unchanged(err)
	}
	defer file.Close() // what it could report, the sync has reported
	old, err := io.ReadAll(file)
	if err != nil {
		return nil, unchanged(err)
	}
	have, err := stateOfOpen(file.Fd())
	if err != nil {
		return nil, unchanged(explain(err, "stat", d.join(name), d.path))
	}
	// The owner and mode come first: if they cannot be set nothing has changed.
	markOurs(file)
	if metadataDiffers(have, want) {
		if warnings, err = setMetadata(file, d.join(name), nil, have, want); err != nil {
			return nil, unchanged(err)
		}
	}
	if err := d.mark(partialName(name)); err != nil {
		return nil, unchanged(err)
	}
	if err := rewrite(file, want.Data); err != nil {
		err = explain(err, "write in place", d.join(name), d.path)
		if back := rewrite(file, old); back != nil {
			return nil, fmt.Errorf("%w; the old content could not be put back either (%w), and half of it may be there", err, back)
		}
		if before == Partial {
			return nil, err // what was put back was half of something already
		}
		if _, err := d.remove(partialName(name)); err != nil {
			return nil, err
		}
		return nil, unchanged(err)
	}
	// From here on the bytes are right and new: whatever fails, the reload stays
	// pending.
	if err := d.setTime(name, want.ModTime); err != nil {
		return nil, err
	}
	_, err = d.remove(partialName(name))
	return warnings, err
}

// rewrite makes data the content of file, and sees that it is: another process
// may be writing to it too.
func rewrite(file *os.File, data []byte) error {
	if err := write(file, data); err != nil {
		return err
	}
	if err := step("truncate"); err != nil {
		return err
	}
	if err := retry(func() error { return unix.Ftruncate(int(file.Fd()), int64(len(data))) }); err != nil {
		return err
	}
	if err := syncFile(file); err != nil {
		return err
	}
	is := make([]byte, len(data)+1)
	n, err := file.ReadAt(is, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if !bytes.Equal(is[:n], data) {
		return ErrContended
	}
	return nil
}
