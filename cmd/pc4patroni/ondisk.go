package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"pc4patroni/internal/config"
	"pc4patroni/resource/engine"
)

// onDisk compares the configuration on disk with the one that runs. All but
// newer belongs to the goroutine that reloads the configuration.
type onDisk struct {
	loaded, seen digest      // of what runs, and of what was dealt with last
	newer        atomic.Bool // what is on disk is not what runs
}

// digest is of all files of a configuration.
type digest [sha256.Size]byte

// digestConfig returns the digest of the configuration file, the resource files
// and the templates. Contents count and times do not: a file may be touched.
func digestConfig(s *config.Settings) (sum digest) {
	h := sha256.New()
	addFile(h, s.ConfigFile)
	addFolder(h, filepath.Join(s.ConfDir, "conf.d"))
	addFolder(h, filepath.Join(s.ConfDir, "templates"))
	h.Sum(sum[:0])
	return sum
}

// addFolder adds what is below a folder, without what an editor leaves there.
func addFolder(h hash.Hash, dir string) {
	dir += "/" // the folder may be a link
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil // what cannot be read is as if it were not there
		case path != dir && strings.HasPrefix(entry.Name(), "."):
			if entry.IsDir() {
				return fs.SkipDir
			}
		case !entry.IsDir() && !strings.HasSuffix(entry.Name(), "~"):
			addFile(h, path)
		}
		return nil
	})
}

func addFile(h hash.Hash, path string) {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return // reading a pipe would wait
	}
	if data, err := os.ReadFile(path); err == nil {
		fmt.Fprintf(h, "%q %x ", path, sha256.Sum256(data))
	}
}

// compare looks whether the configuration on disk has changed. By the name
// confd it is read, as confd would; else a warning says that it is not, once.
func (d *daemon) compare(ctx context.Context) {
	now := digestConfig(d.settings)
	d.disk.newer.Store(now != d.disk.loaded)
	if now == d.disk.seen {
		return
	}
	d.disk.seen = now
	switch {
	case now == d.disk.loaded:
		d.log.Info("the configuration on disk is back to the one that runs")
	case d.CalledConfd():
		d.reload(ctx)
	default:
		d.log.Warn("the configuration on disk differs from the one that runs: run systemctl reload, or send SIGHUP", "confdir", d.settings.ConfDir)
	}
}

// read remembers what was on disk when a configuration was read, and whether
// that runs now.
func (o *onDisk) read(sum digest, runs bool) {
	o.seen = sum
	if runs {
		o.loaded = sum
	}
	o.newer.Store(sum != o.loaded)
}

// watched is the engine as the status page and systemd see it.
type watched struct {
	*engine.Engine
	disk *onDisk
}

func (w watched) Status() engine.Status {
	status := w.Engine.Status()
	status.Outdated = w.disk.newer.Load()
	return status
}
