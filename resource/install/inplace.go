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
// point, and on failure puts the old data back. The marker says Partial for as
// long as the file may be half of something, and Reload, where a reload is
// wanted or was pending before, for as long as its bytes have changed.
func (d *directory) overwrite(name string, want Want, reload bool, before Pending) (warnings []Warning, err error) {
	file, err := d.open(name, unix.O_RDWR)
	if err != nil {
		return nil, errors.Join(err, d.restoreMarker(name, before))
	}
	defer file.Close() // what it could report, the sync has reported
	fd := file.Fd()
	old, err := io.ReadAll(file)
	var have State
	if err == nil {
		have, err = stateOfOpen(fd)
	}
	if err == nil {
		err = d.mark(partialName(name))
	}
	if err != nil {
		return nil, errors.Join(err, d.restoreMarker(name, before))
	}
	if err := rewrite(file, want.Data); err != nil {
		err = fmt.Errorf("write %s in place: %w", d.join(name), err)
		if back := rewrite(file, old); back != nil {
			return nil, fmt.Errorf("%w; it could not be put back either and may be half written: %w", err, back)
		}
		if before == Partial {
			return nil, err // what was put back was half of something already
		}
		_, unmarked := d.remove(partialName(name))
		return nil, errors.Join(err, unmarked, d.restoreMarker(name, before))
	}
	// From here on the bytes are right and new: the reload stays pending
	// whatever else fails.
	if !want.ModTime.IsZero() || metadataDiffers(have, want) {
		if warnings, err = setMetadata(file, d.join(name), nil, have, want); err != nil {
			return nil, err
		}
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
	if !errors.Is(err, io.EOF) && err != nil {
		return err
	}
	if !bytes.Equal(is[:n], data) {
		return ErrContended
	}
	return nil
}
