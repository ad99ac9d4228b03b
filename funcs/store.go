package funcs

import (
	"iter"
	"path"
	"slices"
	"strings"

	"github.com/kelseyhightower/memkv"

	"pc4patroni/funcs/patroni"
)

// A Store holds the keys of one resource, relative to its prefix and with a
// leading slash, as templates see them. Values live in memkv and answers are
// memkv's, but come from an index: memkv looks at every key for each gets, ls
// and lsdir.
//
// Where memkv takes "/a/../b/x" for a key below "/b", here it is below nothing:
// ls, lsdir and the clusters pass over keys with empty, "." or ".." segments.
// Whoever may write below /a must not be able to change what is below /b.
//
// A Store belongs to one goroutine at a time.
type Store struct {
	// memkv's methods have value receivers, which copy its mutex: it locks
	// nothing, and the map inside is shared by all copies.
	kv memkv.Store

	keys []string // all of them, sorted

	clusters clusterCache
}

// NewStore returns an empty store.
func NewStore() *Store {
	return &Store{kv: memkv.New(), clusters: clusterCache{decoded: map[string]*patroni.Cluster{}}}
}

// Len returns the number of keys.
func (s *Store) Len() int { return len(s.keys) }

// Get returns the value of key.
func (s *Store) Get(key string) (string, bool) {
	kv, err := s.kv.Get(key)
	return kv.Value, err == nil
}

// Set gives key a value.
func (s *Store) Set(key, value string) {
	if s.put(key, value) {
		at, _ := slices.BinarySearch(s.keys, key)
		s.keys = slices.Insert(s.keys, at, key)
		s.clusters.paths = nil
	}
}

// Del removes key, if it is there.
func (s *Store) Del(key string) {
	at, found := slices.BinarySearch(s.keys, key)
	if !found {
		return
	}
	s.keys = slices.Delete(s.keys, at, at+1)
	s.kv.Del(key)
	s.clusters.paths = nil
	s.clusters.changed(key)
}

// Replace makes the store hold values and nothing else. A full read that finds
// nothing new costs little.
func (s *Store) Replace(values map[string]string) {
	changed := false
	s.keys = slices.DeleteFunc(s.keys, func(key string) bool {
		if _, stays := values[key]; stays {
			return false
		}
		s.kv.Del(key)
		s.clusters.changed(key)
		changed = true
		return true
	})
	for key, value := range values {
		if s.put(key, value) {
			s.keys = append(s.keys, key)
			changed = true
		}
	}
	if changed {
		slices.Sort(s.keys)
		s.clusters.paths = nil
	}
}

// put stores a value and tells whether its key is new to the index.
func (s *Store) put(key, value string) (isNew bool) {
	old, err := s.kv.Get(key)
	if err == nil {
		if old.Value == value {
			return false
		}
		key = old.Key // The same string as in the index, so that one copy is kept.
	}
	s.kv.Set(key, value)
	s.clusters.changed(key)
	return err != nil
}

// All yields every key and its value, in order of keys.
func (s *Store) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, key := range s.keys {
			if value, _ := s.Get(key); !yield(key, value) {
				return
			}
		}
	}
}

// isClean tells whether key is a rooted path without empty, "." and ".."
// segments, and not the root itself.
func isClean(key string) bool {
	return len(key) > 1 && key[0] == '/' && path.Clean(key) == key
}

// startingWith yields the keys that begin with prefix, in order.
func (s *Store) startingWith(prefix string) iter.Seq[string] {
	return func(yield func(string) bool) {
		at, _ := slices.BinarySearch(s.keys, prefix)
		for at < len(s.keys) && strings.HasPrefix(s.keys[at], prefix) && yield(s.keys[at]) {
			at++
		}
	}
}

// below yields the clean keys below dir, in order. dir is "" for the root.
func (s *Store) below(dir string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for key := range s.startingWith(dir + "/") {
			if isClean(key) && !yield(key) {
				return
			}
		}
	}
}

// gets is memkv's GetAll: the pairs whose keys match pattern, in order of keys.
func (s *Store) gets(pattern string) (memkv.KVPairs, error) {
	if _, err := path.Match(pattern, ""); err != nil && len(s.keys) > 0 {
		return nil, err
	}
	literal := pattern
	if special := strings.IndexAny(pattern, `*?[\`); special >= 0 {
		literal = pattern[:special]
	}
	pairs := memkv.KVPairs{}
	for key := range s.startingWith(literal) {
		if ok, _ := path.Match(pattern, key); ok {
			pair, _ := s.kv.Get(key)
			pairs = append(pairs, pair)
		}
	}
	return pairs, nil
}

// getvs is memkv's GetAllValues: the values of those keys, sorted as text and
// so not in the order of their keys.
func (s *Store) getvs(pattern string) ([]string, error) {
	pairs, err := s.gets(pattern)
	values := make([]string, 0, len(pairs))
	for _, pair := range pairs {
		values = append(values, pair.Value)
	}
	slices.Sort(values)
	return values, err
}

// ls is memkv's List: the names directly below filePath, or its own name if it
// is a key.
func (s *Store) ls(filePath string) []string {
	dir, known := directory(filePath)
	if !known {
		return s.kv.List(filePath)
	}
	// memkv splits "/" into two empty terms, which no deeper directory begins
	// with: ls "/" gives the keys at the top and no directories.
	names := s.children(dir, func(isDir bool) bool { return dir != "" || !isDir })
	if _, found := s.Get(filePath); found && isClean(filePath) {
		names = append(names, path.Base(filePath))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// lsdir is memkv's ListDir: the names below filePath that have keys below them,
// none for "/", as in ls.
func (s *Store) lsdir(filePath string) []string {
	dir, known := directory(filePath)
	if !known {
		return s.kv.ListDir(filePath)
	}
	return s.children(dir, func(isDir bool) bool { return dir != "" && isDir })
}

// directory returns the clean path that templates mean by "/a/b" or "/a/b/", ""
// for the root. What comes out of other paths is left to memkv.
func directory(filePath string) (dir string, known bool) {
	dir = strings.TrimSuffix(filePath, "/")
	return dir, filePath == "/" || isClean(dir)
}

// children returns the names directly below dir, once each, that accept takes:
// those of keys, and those that have keys below them.
func (s *Store) children(dir string, accept func(isDir bool) bool) []string {
	names := []string{}
	for key := range s.below(dir) {
		if name, _, isDir := strings.Cut(key[len(dir)+1:], "/"); accept(isDir) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
