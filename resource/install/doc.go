// Package install replaces single files, safely and truthfully, and remembers
// which of them still have to be told to the program that reads them.
//
// The way of a file:
//
//	target, err := install.Resolve(dest, "")      // once, and again before each use
//	have, err := install.Stat(target)             // cheap: equal states, equal file
//	differs, err := install.Compare(target, have, want)
//	staged, err := install.Stage(target, have, want)
//	// check staged.Path() with a program, while staged.Sync() runs
//	result, err := staged.Install(install.Options{Reload: true})
//	// tell the reader of the file, then:
//	err = install.ClearPending(target)
//	err = install.SyncDir(target)                 // whenever there is time
//
// # What it promises
//
// A reader of the target sees the old file or the new one, whole, with the
// owner, group, mode and extended attributes that it is to have. This holds
// when this process, or the machine, stops at any point, when the disk is full
// or fails, and when two processes work on one target.
//
// After Install with Reload, Pending says so until ClearPending, also when this
// process is killed in between. A power cut may lose that: it stops the reader
// too, and the reader then starts with the file as it is.
//
// Two processes: both stage under the same name, and the later one takes it
// from the earlier. The earlier one's Install then fails with ErrContended and
// changes nothing; it may try again. What is not whole, or was staged by
// another, is never put in place. If both install at once the later rename wins.
// With ClearPending of the one between Install and crash of the other a reload
// can be forgotten; nothing else can.
//
// # What it does not promise
//
//   - A target that is a mount point (a file that was bind-mounted into a
//     container) cannot be renamed over. It is written in place: a reader may
//     see half of it, and after a crash it may be half. Pending then says
//     Partial until it is put right.
//   - Hard links: the target becomes a new file, its other names keep the old.
//   - The new name survives a power cut only after SyncDir. Until then the old
//     file may come back; it is whole.
//   - A lock against other programs: who edits the file between Stat and
//     Install loses the edit.
//   - An owner or group that this user may not set. It is a Warning, and the
//     file is kept up to date without it.
//
// # Whom it trusts
//
// Root and the user that runs this process; nobody else, even where they own
// the target's directory. Symbolic links on the way are followed only if they,
// and the directories that hold them, belong to root or to the running user.
// After Resolve none is followed any more: each operation opens the directory
// from the root of the file system down, and refuses a link that appears on
// the way. New names are made with O_EXCL, so that links, pipes and hard links
// that lie in wait under them are neither followed nor opened nor written.
// Who may write in the directory can still remove and replace the target
// itself, as any program that may write there can.
package install
