package engine

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"pc4patroni/backends"
	"pc4patroni/funcs"
	"pc4patroni/funcs/patroni"
	"pc4patroni/resource"
)

// urgency says how long a change may wait for others.
type urgency int

const (
	nothing  urgency = iota // there is nothing to do
	relaxed                 // it only moves positions in the write-ahead log
	settling                // a key is gone, perhaps the first of many
	headless                // the leader's key is gone
	urgent
)

// keys are the keys of one resource. The watcher puts changes in at any time;
// the unit moves them to the store when it is about to render, and nobody but
// the unit changes the store, so that a rendering that takes its time, for DNS
// perhaps, keeps no watcher waiting.
type keys struct {
	resource *resource.Resource

	mu    sync.Mutex
	store *funcs.Store // what the template sees
	// What has come since the unit last looked: all keys, or nil, and then
	// changes of single keys.
	full    map[string]string
	changes map[string]backends.Change
	paths   []pathState
}

// pathState is what is known of one path that the resource reads.
type pathState struct {
	path   string
	loaded bool
	denied error
}

func newKeys(res *resource.Resource) *keys {
	k := &keys{resource: res, store: funcs.NewStore()}
	for _, path := range res.Paths {
		k.paths = append(k.paths, pathState{path: path})
	}
	return k
}

// apply takes an update of one path.
func (k *keys) apply(up *backends.Update) urgency {
	switch {
	case up.Denied != nil:
		return k.deny(up.Path, up.Denied)
	case up.Keys != nil:
		return k.replace(up.Path, up.Keys)
	}
	most := nothing
	for _, c := range up.Changes {
		most = max(most, k.change(up.Path, c))
	}
	return most
}

// has tells whether the keys of path are known.
func (k *keys) has(path string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.ContainsFunc(k.paths, func(p pathState) bool { return p.path == path && p.loaded && p.denied == nil })
}

// replace gives the keys that path covers anew.
func (k *keys) replace(path string, values map[string]string) urgency {
	k.mu.Lock()
	defer k.mu.Unlock()
	known := k.known()
	next := make(map[string]string, len(values))
	for i := range k.paths {
		if p := &k.paths[i]; p.path == path {
			known = known && p.denied == nil
			p.loaded, p.denied = true, nil
		} else if p.loaded {
			for key, value := range k.current() {
				if backends.Covers(p.path, k.resource.Full(key)) {
					next[key] = value
				}
			}
		}
	}
	for key, value := range values {
		if relative, ok := k.resource.Relative(key); ok {
			next[relative] = value
		}
	}
	if known && maps.Equal(next, k.current()) {
		return nothing
	}
	k.full, k.changes = next, nil
	return urgent
}

// deny says that path may not be read.
func (k *keys) deny(path string, err error) urgency {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.paths {
		if p := &k.paths[i]; p.path == path {
			p.loaded, p.denied = true, err
		}
	}
	return urgent
}

// change applies one event of path.
func (k *keys) change(path string, c backends.Change) urgency {
	key, ok := k.resource.Relative(c.Key)
	if !ok {
		return nothing
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !slices.ContainsFunc(k.paths, func(p pathState) bool { return p.path == path && p.loaded }) {
		return nothing // the full state is still to come
	}
	before, had := k.get(key)
	if k.changes == nil {
		k.changes = map[string]backends.Change{}
	}
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

// known tells whether every path has been read or denied.
func (k *keys) known() bool {
	for _, p := range k.paths {
		if !p.loaded {
			return false
		}
	}
	return true
}

// get returns the newest value of a key.
func (k *keys) get(key string) (string, bool) {
	if c, ok := k.changes[key]; ok {
		return c.Value, !c.Deleted
	}
	if k.full != nil {
		value, ok := k.full[key]
		return value, ok
	}
	return k.store.Get(key)
}

// current returns all keys. The caller must not modify what it gets.
func (k *keys) current() map[string]string {
	all := k.full
	if all == nil {
		all = maps.Collect(k.store.All())
	} else if len(k.changes) > 0 {
		all = maps.Clone(all)
	}
	for key, c := range k.changes {
		if c.Deleted {
			delete(all, key)
		} else {
			all[key] = c.Value
		}
	}
	return all
}

// copy returns all keys as the template sees them, and whether they are known.
func (k *keys) copy() (map[string]string, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.current(), k.known()
}

// take moves what has come into the store. It tells whether the keys are known,
// and fails where no path of a key may be read. Only the unit calls it.
func (k *keys) take() (known bool, denied error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.known() {
		return false, nil
	}
	if k.full != nil {
		k.store.Replace(maps.All(k.full))
	}
	for key, c := range k.changes {
		if c.Deleted {
			k.store.Del(key)
		} else {
			k.store.Set(key, c.Value)
		}
	}
	k.full, k.changes = nil, nil
	allowed := map[string]bool{}
	for _, p := range k.paths {
		key := k.resource.KeyOf(p.path)
		allowed[key] = allowed[key] || p.denied == nil
	}
	for _, p := range k.paths {
		if !allowed[k.resource.KeyOf(p.path)] {
			return true, p.denied
		}
	}
	return true, nil
}

// inherit takes over what another resource knows of the very same keys.
func (k *keys) inherit(old *keys) {
	old.mu.Lock()
	defer old.mu.Unlock()
	if !old.known() {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.full, k.paths = maps.Clone(old.current()), slices.Clone(old.paths)
}

// areKnown is known for those who do not hold the lock.
func (k *keys) areKnown() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.known()
}
