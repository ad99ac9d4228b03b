package funcs

import (
	"iter"
	"slices"

	"github.com/kelseyhightower/memkv"
)

// A Store holds the keys of one resource, relative to its prefix and with a
// leading slash, as templates see them. Values live in memkv and every answer
// is memkv's; beside it stand an index, because memkv looks at every key for
// each gets, ls and lsdir, and the clusters that were decoded so far.
//
// A Store belongs to one goroutine at a time.
type Store struct {
	// memkv's methods have value receivers, which copy its mutex: it locks
	// nothing, and the map inside is shared by all copies.
	kv memkv.Store

	// clean indexes the keys that are rooted paths in their shortest form,
	// which is what etcd holds in practice. The others, such as "/a//b" or
	// "a", are in odd too, where memkv itself looks through them.
	clean index
	odd   *oddKeys

	clusters clusterCache
}

// oddKeys are the keys that are not clean, in a store of their own.
type oddKeys struct {
	kv   memkv.Store
	keys []string // sorted
}

// NewStore returns an empty store.
func NewStore() *Store {
	return &Store{kv: memkv.New()}
}

// Len returns the number of keys.
func (s *Store) Len() int {
	n := len(s.clean)
	if s.odd != nil {
		n += len(s.odd.keys)
	}
	return n
}

// Get returns the value of key.
func (s *Store) Get(key string) (string, bool) {
	kv, err := s.kv.Get(key)
	return kv.Value, err == nil
}

// Set gives key a value. For a key that is there already it costs no more than
// memkv and the forgetting of what was decoded from the old value.
func (s *Store) Set(key, value string) {
	old, err := s.kv.Get(key)
	if err == nil && old.Value == value {
		return
	}
	if err == nil {
		key = old.Key // The same string as in the index, so that one copy is kept.
	} else {
		s.insert(key)
	}
	s.put(key, value)
	s.clusters.changed(key)
}

// Del removes key, if it is there.
func (s *Store) Del(key string) {
	if !s.kv.Exists(key) {
		return
	}
	s.kv.Del(key)
	if isClean(key) {
		s.clean.remove(key)
	} else {
		s.odd.remove(key)
		if len(s.odd.keys) == 0 {
			s.odd = nil
		}
	}
	s.clusters.keysChanged()
	s.clusters.changed(key)
}

// Replace makes the store hold values and nothing else. Of several pairs with
// one key the last one counts. What was decoded from keys that stay as they
// are is kept, so that a full read which finds nothing new costs little.
func (s *Store) Replace(values iter.Seq2[string, string]) {
	given := make([]string, 0, s.Len())
	fresh := make([]string, 0)
	for key, value := range values {
		old, err := s.kv.Get(key)
		switch {
		case err == nil:
			key = old.Key
			if old.Value != value {
				s.put(key, value)
				s.clusters.changed(key)
			}
		case isClean(key):
			// One insertion after the other would move the index each time.
			fresh = append(fresh, key)
			s.put(key, value)
			s.clusters.changed(key)
		default:
			s.Set(key, value)
		}
		given = append(given, key)
	}
	if len(fresh) > 0 {
		slices.Sort(fresh)
		s.clean = append(s.clean, slices.Compact(fresh)...)
		slices.Sort(s.clean)
		s.clusters.keysChanged()
	}
	slices.Sort(given)
	given = slices.Compact(given)
	if len(given) == s.Len() {
		return
	}
	gone := make([]string, 0, s.Len()-len(given))
	for key := range s.keys() {
		if _, stays := slices.BinarySearch(given, key); !stays {
			gone = append(gone, key)
		}
	}
	if len(gone) > 32 {
		// One deletion after the other would move the index each time.
		s.clean = slices.DeleteFunc(s.clean, func(key string) bool {
			_, stays := slices.BinarySearch(given, key)
			return !stays
		})
	}
	for _, key := range gone {
		s.Del(key)
	}
}

// All yields every key and its value, in no particular order.
func (s *Store) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for key := range s.keys() {
			if value, _ := s.Get(key); !yield(key, value) {
				return
			}
		}
	}
}

// insert adds a key that is not there yet to the index it belongs to.
func (s *Store) insert(key string) {
	if isClean(key) {
		s.clean.insert(key)
	} else {
		if s.odd == nil {
			s.odd = &oddKeys{kv: memkv.New()}
		}
		s.odd.insert(key)
	}
	s.clusters.keysChanged()
}

// put stores a value whose key is in the index.
func (s *Store) put(key, value string) {
	s.kv.Set(key, value)
	if s.odd != nil && !isClean(key) {
		s.odd.kv.Set(key, value)
	}
}

func (o *oddKeys) insert(key string) {
	at, _ := slices.BinarySearch(o.keys, key)
	o.keys = slices.Insert(o.keys, at, key)
}

func (o *oddKeys) remove(key string) {
	if at, found := slices.BinarySearch(o.keys, key); found {
		o.keys = slices.Delete(o.keys, at, at+1)
	}
	o.kv.Del(key)
}

// keys yields every key in order.
func (s *Store) keys() iter.Seq[string] {
	if s.odd == nil {
		return slices.Values(s.clean)
	}
	all := slices.Concat(s.clean, s.odd.keys)
	slices.Sort(all)
	return slices.Values(all)
}

// gets is memkv's GetAll: the pairs whose keys match pattern, in order of keys.
func (s *Store) gets(pattern string) (memkv.KVPairs, error) {
	keys, err := s.clean.match(pattern)
	if err != nil {
		return nil, err
	}
	pairs := make(memkv.KVPairs, 0, len(keys))
	for _, key := range keys {
		pair, err := s.kv.Get(key)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, pair)
	}
	if s.odd != nil {
		more, err := s.odd.kv.GetAll(pattern)
		if err != nil {
			return nil, err
		}
		if len(more) > 0 {
			pairs = append(pairs, more...)
			slices.SortFunc(pairs, comparePairs)
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
	names, known := s.clean.list(filePath)
	if !known {
		return s.kv.List(filePath)
	}
	if s.odd != nil {
		names = union(names, s.odd.kv.List(filePath))
	}
	return notNil(names)
}

// lsdir is memkv's ListDir: the names below filePath that have keys below them.
func (s *Store) lsdir(filePath string) []string {
	names, known := s.clean.listDir(filePath)
	if !known {
		return s.kv.ListDir(filePath)
	}
	if s.odd != nil {
		names = union(names, s.odd.kv.ListDir(filePath))
	}
	return notNil(names)
}

// notNil keeps to memkv, which answers with an empty list rather than none.
func notNil(names []string) []string {
	if names == nil {
		return []string{}
	}
	return names
}

// union merges two sorted lists without repetitions.
func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

func comparePairs(a, b memkv.KVPair) int {
	if a.Key < b.Key {
		return -1
	}
	if a.Key > b.Key {
		return 1
	}
	return 0
}
