package etcd

import (
	"fmt"
	"slices"

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

// deny makes the update for a path that may not be read any more, or never could.
func (w *watch) deny(wr *watcher) backends.Update {
	if wr.live {
		w.st.send(cancelRequest(wr.id))
	}
	if i := slices.Index(w.asked, wr); i >= 0 {
		// etcd is still creating the watcher: it is canceled once it exists.
		w.asked[i] = &watcher{denied: true}
	}
	wr.denied, wr.live, wr.next = true, false, 0
	if wr.revision > 0 {
		wr.revision, wr.resync = 0, backends.ResyncOther
	}
	return backends.Update{Path: wr.path, Denied: w.c.denied(wr.path)}
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
