package main

import (
	"context"
	"sync/atomic"

	"pc4patroni/internal/config"
	"pc4patroni/resource/engine"
)

// onDisk compares the configuration on disk with the one that runs. All but
// newer belongs to the goroutine that reloads the configuration.
type onDisk struct {
	loaded, seen config.Digest // of the contents that run, and of those dealt with last
	stat         config.Digest // when they were looked at last
	newer        atomic.Bool   // what is on disk is not what runs
}

// compare looks whether the configuration on disk has changed. By the name
// confd it is read, as confd would; else a warning says that it is not, once.
func (d *daemon) compare(ctx context.Context) {
	stat := d.settings.StatDigest()
	if stat == d.disk.stat {
		return // a thousand files, read in one moment for nothing, delay a change
	}
	d.disk.stat = stat
	now := d.settings.ContentDigest()
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
func (o *onDisk) read(sum config.Digest, runs bool) {
	o.seen = sum
	if runs {
		o.loaded = sum
	}
	o.newer.Store(sum != o.loaded)
}

// Status is that of the engine, and whether it runs what is on disk.
func (d *daemon) Status() engine.Status {
	status := d.Engine.Status()
	status.Outdated = d.disk.newer.Load()
	return status
}
