package etcd

import (
	"fmt"

	"pc4patroni/backends"
)

// refuse handles that etcd refuses to watch a range: a read tells whether we may
// not read it any more, or whether the stream's token has expired.
func (w *watch) refuse(wr *watcher) {
	if !wr.denied {
		wr.refused = true
		w.enqueue(wr)
	}
}

// deny makes the updates for a range that may not be read any more, or never
// could. What is below it may be allowed, and gets watchers of its own.
func (w *watch) deny(wr *watcher) []backends.Update {
	if wr.live {
		w.st.send(cancelRequest(wr.id))
	}
	wr.denied, wr.live, wr.next = true, false, 0
	own := wr.paths[0]
	if own.revision > 0 {
		own.revision, own.resync = 0, backends.ResyncOther
	}
	for _, part := range w.add(wr.paths[1:]) {
		w.create(part)
		w.settled = false
	}
	wr.paths = wr.paths[:1:1]
	return []backends.Update{{Path: own.name, Denied: w.c.denied(own.name)}}
}

// denied makes the error for a path that etcd does not let us read.
func (c *Client) denied(path string) error {
	return fmt.Errorf("read %q from etcd %s: %w: its role needs read permission on it (etcdctl role grant-permission ROLE read %s)",
		path, c.cfg.who(), backends.ErrDenied, rangeOf(path).grant())
}

// noUserError makes the error of an etcd that wants a user and got none.
func (c *Client) noUserError() error {
	return fmt.Errorf("read etcd %s: %w: etcd wants a user: set username and password-file", c.cfg.who(), backends.ErrDenied)
}

// who is how the client introduces itself to etcd.
func (c Config) who() string {
	switch {
	case c.Username != "":
		return fmt.Sprintf("as user %q", c.Username)
	case c.ClientCert != "":
		return "with client-cert " + c.ClientCert
	}
	return "without a user"
}
