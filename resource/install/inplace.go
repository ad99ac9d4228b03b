package install

import (
	"errors"

	"golang.org/x/sys/unix"
)

// overwrite writes want into the existing file called name, which is a mount
// point. The marker says Partial from before the content changes; the caller
// removes it after success. After an error without it, nothing has changed.
func (d *directory) overwrite(name string, want Want) (warnings []string, err error) {
	file, have, err := d.open(name, unix.O_RDWR)
	if err != nil {
		return nil, err
	}
	defer file.Close() // what it could report, the sync has reported
	// What is likeliest to fail comes before the content changes: the owner and
	// mode, and room on the disk, where the file system can reserve that.
	markOurs(file)
	if len(MetadataChanges(have, want)) > 0 {
		if warnings, err = setMetadata(file, d.join(name), nil, have, want); err != nil {
			return nil, err
		}
	}
	size := int64(len(want.Data))
	reserve := func() error { return unix.Fallocate(int(file.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, max(size, 1)) }
	if err := do("reserve", file.Name(), reserve); err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		return nil, explain(err, "write in place", d.join(name))
	}
	if err := d.mark(partialName(name)); err != nil {
		return nil, err
	}
	err = write(file, want.Data)
	if err == nil {
		err = do("truncate", file.Name(), func() error { return file.Truncate(size) })
	}
	if err == nil {
		err = do("sync", file.Name(), file.Sync)
	}
	if err != nil {
		return nil, explain(err, "write in place", d.join(name))
	}
	return warnings, d.setTime(name, want.ModTime)
}
