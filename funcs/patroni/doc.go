// Package patroni is a model of the clusters that Patroni describes in its
// key-value store: strings of keys and values go in, a *Cluster comes out.
//
// It renders nothing, reads nothing, logs nothing and starts no goroutine, and
// it knows nothing of templates, although its fields and methods are named so
// that a template reads well. A decoded Cluster never changes; it and all that
// hangs on it may be read by many goroutines at once.
//
// # What is trusted
//
// Every member of a cluster may write its own key, and nothing checks what it
// writes. Therefore no typed field holds text that could end a line or a
// quotation in the file of a proxy. A member whose name or address does not fit
// has its Problem set, stays in Cluster.Members without any address, and is
// absent from every other list; it is neither Leader nor Primary. Whatever else
// does not fit is left out or reads as "unknown". The exceptions: Member.Raw and
// Cluster.Config hand out what is stored; tags, the reasons of promotions and
// the values of settings are free text without control characters.
//
// # What the keys cannot tell
//
// The store does not know whether a host is alive (a dead one keeps its last
// state until its lease expires, 30 seconds by default), whether PostgreSQL
// accepts writes at this moment (role and state are up to one cycle of Patroni
// old, 10 seconds by default), or what happens while the store is away: in
// failsafe mode a primary that is cut off serves on although its leader key has
// expired. A configuration key that is gone means "as before" to Patroni, which
// remembers it, and "the defaults" here, but for this: a leader whose role is
// standby_leader is no primary then.
//
// The rules follow Patroni 4.1, and the comments name the function that each
// one is taken from. Values of every release that can use etcd v3 (2.0 and
// later) are understood, side by side in one cluster.
package patroni
