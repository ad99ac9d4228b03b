package engine

import (
	"maps"
	"strings"
	"sync"

	"pc4patroni/backends"
	"pc4patroni/funcs"
	"pc4patroni/funcs/patroni"
	"pc4patroni/resource"
)

// keys are the keys of one resource. The watcher puts changes in at any time;
// the unit moves them to the store when it is about to render, and nobody but
// the unit changes the store, so that a rendering that takes its time, for DNS
// perhaps, keeps no watcher waiting.
type keys struct {
	resource *resource.Resource

	mu      sync.Mutex
	store   *funcs.Store               // what the template sees
	changes map[string]backends.Change // what has come since the unit last looked
	// read holds each path that has been read: nil, or why that was denied.
	read map[string]error
}

func newKeys(res *resource.Resource) *keys {
	return &keys{resource: res, store: funcs.NewStore(), changes: map[string]backends.Change{}, read: map[string]error{}}
}

// apply takes an update of one path.
func (k *keys) apply(up *backends.Update) urgency {
	k.mu.Lock()
	defer k.mu.Unlock()
	denied, read := k.read[up.Path]
	switch {
	case up.Denied != nil:
		k.read[up.Path] = up.Denied
		return urgent
	case up.Keys != nil:
		most := k.replace(up.Path, up.Keys)
		if !read || denied != nil {
			most = urgent
		}
		k.read[up.Path] = nil
		return most
	case !read:
		return nothing // the full state is still to come
	}
	most := nothing
	for _, c := range up.Changes {
		most = max(most, k.change(c))
	}
	return most
}

// replace gives the keys that path covers anew.
func (k *keys) replace(path string, values map[string]string) urgency {
	most := nothing
	for key := range k.current() {
		full := k.resource.Full(key)
		if _, ok := values[full]; !ok && backends.Covers(path, full) {
			k.changes[key] = backends.Change{Key: full, Deleted: true}
			most = urgent
		}
	}
	for full, value := range values {
		key, ok := k.resource.Relative(full)
		if before, had := k.get(key); ok && (!had || before != value) {
			k.changes[key] = backends.Change{Key: full, Value: value}
			most = urgent
		}
	}
	return most
}

// change applies one event.
func (k *keys) change(c backends.Change) urgency {
	key, ok := k.resource.Relative(c.Key)
	if !ok {
		return nothing
	}
	before, had := k.get(key)
	k.changes[key] = c
	switch {
	case c.Deleted && strings.HasSuffix(key, "/leader"):
		return headless
	case c.Deleted:
		return settling
	case had && (before == c.Value || patroni.OnlyPositionsMoved(c.Key, before, c.Value)):
		return relaxed
	}
	return urgent
}

// get returns the newest value of a key.
func (k *keys) get(key string) (string, bool) {
	if c, ok := k.changes[key]; ok {
		return c.Value, !c.Deleted
	}
	return k.store.Get(key)
}

// current returns the newest values of all keys.
func (k *keys) current() map[string]string {
	all := maps.Collect(k.store.All())
	for key, c := range k.changes {
		if c.Deleted {
			delete(all, key)
		} else {
			all[key] = c.Value
		}
	}
	return all
}

// take moves what has come into the store. It tells whether the keys are known,
// and fails where no path of a key may be read. Only the unit calls it.
func (k *keys) take() (known bool, denied error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.known() {
		return false, nil
	}
	if len(k.changes) > k.store.Len() {
		k.store.Replace(k.current()) // faster than one by one
	} else {
		for key, c := range k.changes {
			if c.Deleted {
				k.store.Del(key)
			} else {
				k.store.Set(key, c.Value)
			}
		}
	}
	if len(k.changes) > 0 {
		k.changes = map[string]backends.Change{} // a full read leaves a large one
	}
	allowed := map[string]bool{}
	for path, denied := range k.read {
		key := strings.TrimSuffix(path, "/")
		allowed[key] = allowed[key] || denied == nil
	}
	for _, path := range k.resource.Paths {
		if !allowed[strings.TrimSuffix(path, "/")] {
			return true, k.read[path]
		}
	}
	return true, nil
}

// known tells whether every path has been read or denied.
func (k *keys) known() bool { return len(k.read) == len(k.resource.Paths) }

// areKnown is known for those who do not hold the lock.
func (k *keys) areKnown() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.known()
}

// has tells whether the keys of path are known.
func (k *keys) has(path string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	denied, read := k.read[path]
	return read && denied == nil
}

// copy returns all keys as the template sees them, and whether they are known.
func (k *keys) copy() (map[string]string, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.current(), k.known()
}
