package patroni

import (
	"iter"
	"maps"
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
	if !isNumber(element) || len(element) > 9 || element[0] == '0' && element != "0" {
		return 0, false
	}
	number, err := strconv.Atoi(element)
	return number, err == nil
}

// isNumber tells whether a path element consists of digits, be it the number of
// a group or not.
func isNumber(element string) bool {
	return element != "" && strings.Trim(element, "0123456789") == ""
}

// Find returns the paths of the clusters among keys, sorted. A path is one if
// initialize, leader or a member is directly below it, or groups of Citus,
// which are not listed themselves then. Keys begin with a slash and come in any
// order; a path is what to append to a prefix: "" for keys such as "/leader".
//
// A namespace may have any number of levels. A folder with a child that is a
// cluster and whose name is not a number is a namespace, and its clusters whose
// names are numbers are no groups: Patroni keeps nothing but groups in a Citus
// scope (Patroni: dcs/__init__.py client_path).
func Find(keys iter.Seq[string]) []string {
	found := map[string]bool{}
	for key := range keys {
		if path, ok := clusterPath(key); ok {
			found[path] = true
		}
	}

	maps.DeleteFunc(found, func(path string, _ bool) bool { return insideCluster(path, found) })
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
				if found[parent] {
					continue
				}
				path = parent
			}
		}
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// insideCluster tells whether path is among the members of one of the clusters
// in found, or is its optime. A member may have any name, also one that looks
// like the key of a cluster.
func insideCluster(path string, found map[string]bool) bool {
	for parent, element, ok := cutLast(path); ok; parent, element, ok = cutLast(parent) {
		if (element == "members" || element == "optime") && found[parent] {
			return true
		}
	}
	return false
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
