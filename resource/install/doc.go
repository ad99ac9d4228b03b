// Package install replaces single files safely, and remembers which of them
// the program that reads them has not been told about.
//
// The life of a file:
//
//	target, err := install.Resolve(dest, "")      // once, and again before each use
//	have, err := install.Stat(target)             // cheap: equal states, equal file
//	differs, err := install.Compare(target, have, want)
//	staged, err := install.Stage(target, want)
//	// check staged.Path() with a program, while staged.Sync() runs
//	result, err := staged.Install(install.Options{Reload: true})
//	// tell the reader of the file, then:
//	err = install.ClearPending(target)
//	err = install.SyncDir(target)                 // whenever there is time
//
// # What it promises
//
// A reader of the target sees the old file or the new one, whole, with the
// owner, group, mode and extended attributes that it should have. This holds
// when this process or the machine stops at any point, when the disk is full
// or fails, and when several processes replace the same target: the last
// rename wins. Within one process, one goroutine at a time works on a target.
//
// After Install with Reload, PendingOf says so until ClearPending, even if this
// process is killed in between. A power cut may lose that: it stops the reader
// too, which then starts with the file as it is.
//
// If two processes replace the same target, one may clear the marker of a reload
// that the other was about to run. If that one crashes before it does, the reload
// is forgotten; nothing else can be.
//
// # What it does not promise
//
//   - A target that is a mount point (a file that was bind-mounted into a
//     container) cannot be renamed over. It is written in place: a reader may
//     see half of it, and after a crash, or when two processes write it at once,
//     it may stay half. After a crash PendingOf says Partial until it has been
//     put right.
//   - Hard links: the target becomes a new file, its other names keep the old.
//   - The new name survives a power cut only after SyncDir. Until then the old
//     file may come back; it is whole.
//   - A lock against other programs: an edit of the file between Stat and
//     Install is lost.
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
// the way. New files are made with O_EXCL, so that links, pipes and hard links
// planted under their names are neither followed nor opened nor written.
// Whoever may write in the directory can still remove and replace the target
// itself, as any program that may write there can.
package install
