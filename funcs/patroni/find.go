package patroni

import (
	"iter"
	"slices"
	"strconv"
	"strings"
)

// clusterPath returns the path of the cluster that key gives away: the key is
// initialize, leader or a member.
func clusterPath(key string) (string, bool) {
	parent, name, ok := cutLast(key)
	switch {
	case !ok:
		return "", false
	case name == "initialize", name == "leader" && !strings.HasSuffix("/"+parent, "/optime"):
		return parent, true
	}
	return strings.CutSuffix(parent, "/members")
}

// groupNumber returns the number of the Citus group that a path element names
// (Patroni: postgresql/mpp/citus.py Citus.group_re).
func groupNumber(element string) (int, bool) {
	number, err := strconv.Atoi(element)
	return number, err == nil && number >= 0 && len(element) <= 9 && strconv.Itoa(number) == element
}

// isNumber tells whether a path element consists of digits, be it the number of
// a group or not.
func isNumber(element string) bool {
	return element != "" && strings.Trim(element, "0123456789") == ""
}

// Find returns the paths of the clusters among keys, sorted. A path is one if
// initialize, leader or a member is directly below it, or if groups of Citus
// are, which are not listed themselves then. Keys begin with a slash, and so do
// the paths, without one at the end: joining a prefix and a path is
// concatenation. The path of keys that are a cluster's themselves, as
// "/leader" is when the prefix was a scope, is therefore "". Keys may come in
// any order.
//
// A namespace may have any number of levels, and nothing tells a namespace from
// a Citus scope but its children: a folder with a child that is a cluster and
// whose name is not a number is a namespace, and then its clusters whose names
// are numbers are no groups. Patroni keeps nothing but groups in a Citus scope
// (Patroni: dcs/__init__.py client_path).
func Find(keys iter.Seq[string]) []string {
	found := map[string]bool{}
	for key := range keys {
		if path, ok := clusterPath(key); ok {
			found[path] = true
		}
	}

	// A member may have any name, also one that looks like the key of a cluster:
	// nothing below the members of a cluster is a cluster itself.
	for path := range found {
		if below(path, "/members", found) || below(path, "/optime", found) {
			delete(found, path)
		}
	}
	namespaces := map[string]bool{}
	for path := range found {
		if parent, element, ok := cutLast(path); ok && !isNumber(element) {
			namespaces[parent] = true
		}
	}
	paths := make([]string, 0, len(found))
	for path := range found {
		if parent, element, ok := cutLast(path); ok && !namespaces[parent] {
			if _, isGroup := groupNumber(element); isGroup {
				if !found[parent] {
					paths = append(paths, parent)
				}
				continue
			}
		}
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// below tells whether path is, or is below, the folder of that name in one of
// the clusters in found.
func below(path, folder string, found map[string]bool) bool {
	for from := 0; ; {
		i := strings.Index(path[from:], folder)
		if i < 0 {
			return false
		}
		end := from + i + len(folder)
		if (end == len(path) || path[end] == '/') && found[path[:from+i]] {
			return true
		}
		from = end
	}
}

// cutLast splits path at its last slash.
func cutLast(path string) (parent, element string, ok bool) {
	slash := strings.LastIndexByte(path, '/')
	if slash < 0 {
		return "", "", false
	}
	return path[:slash], path[slash+1:], true
}

// splitGroups returns the keys of each Citus group among keys, which are
// relative to the path of a cluster, and the keys that are in no group.
func splitGroups(keys map[string]string) (groups map[int]map[string]string, plain map[string]string) {
	groups = map[int]map[string]string{}
	for key := range keys {
		element, _, ok := strings.Cut(key, "/")
		if !ok || element == "members" || element == "optime" {
			continue
		}
		if child, ok := clusterPath(key[len(element):]); !ok || child != "" {
			continue
		}
		if number, ok := groupNumber(element); ok {
			groups[number] = map[string]string{}
		} else if !isNumber(element) {
			return nil, keys // The path is a namespace.
		}
	}
	if len(groups) == 0 {
		return nil, keys
	}
	plain = map[string]string{}
	for key, text := range keys {
		element, rest, _ := strings.Cut(key, "/")
		number, ok := groupNumber(element)
		if group := groups[number]; ok && group != nil {
			group[rest] = text
		} else {
			plain[key] = text
		}
	}
	return groups, plain
}
