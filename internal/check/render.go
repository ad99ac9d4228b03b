package check

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"maps"
	"net"
	"path"
	"slices"
	"strings"
	"time"

	"pc4patroni/backends/file"
	"pc4patroni/funcs"
	"pc4patroni/resource"
)

//go:embed clusters/*.toml
var clusterFiles embed.FS

// cluster is a built-in cluster: its keys below its own path.
type cluster struct {
	name string
	keys map[string]string
}

// clusters returns the built-in clusters, in the order of their names.
func clusters() []cluster {
	entries, err := clusterFiles.ReadDir("clusters")
	if err != nil {
		panic(err) // they are part of the program
	}
	var all []cluster
	for _, entry := range entries {
		data, err := clusterFiles.ReadFile("clusters/" + entry.Name())
		if err != nil {
			panic(err)
		}
		keys, err := file.Parse(entry.Name(), data)
		if err != nil {
			panic(err)
		}
		all = append(all, cluster{strings.TrimSuffix(entry.Name(), ".toml"), keys})
	}
	return all
}

// renderer renders one resource.
type renderer struct {
	res    *resource.Resource
	getenv func(string) string
}

// render executes the template with the keys that see accepts, named as in the
// backend.
func (r *renderer) render(keys map[string]string, see func(key string) (string, bool)) (string, error) {
	store := funcs.NewStore()
	for key, value := range keys {
		if relative, ok := see(key); ok {
			store.Set(relative, value)
		}
	}
	data, err := r.res.Render(&funcs.Env{Store: store, Prefix: r.res.Prefix, Getenv: r.getenv, Resolver: noDNS{}, Now: func() time.Time { return time.Unix(0, 0) }})
	return string(data), err
}

// all makes every key below the prefix visible, whatever the resource selects.
func (r *renderer) all(key string) (string, bool) {
	rest, ok := strings.CutPrefix(key, strings.TrimSuffix(r.res.Prefix, "/"))
	return rest, ok
}

// layouts returns the places where the prefix may expect clusters: it is either
// the path of one, or a namespace of several. Without a prefix the keys say where.
func layouts(res *resource.Resource) []string {
	roots := []string{res.Prefix}
	if res.Prefix == "/" {
		roots = res.Keys
	}
	var all []string
	for _, root := range roots {
		all = append(all, path.Clean(root), path.Join(root, "batman"))
	}
	return all
}

// attempt is one template rendered against one built-in cluster.
type attempt struct {
	cluster string
	keys    map[string]string // named as in the backend
	out     string
	err     error
}

// attempts renders the template against every cluster in every layout. Of the
// layouts those count in which it works for some cluster; if there is none, all.
func (r *renderer) attempts() []attempt {
	var all, working []attempt
	for _, layout := range layouts(r.res) {
		var here []attempt
		works := false
		for _, c := range clusters() {
			a := attempt{cluster: c.name, keys: make(map[string]string, len(c.keys))}
			for key, value := range c.keys {
				a.keys[path.Join(layout, key)] = value
			}
			a.out, a.err = r.render(a.keys, r.res.Relative)
			works = works || a.err == nil
			here = append(here, a)
		}
		all = append(all, here...)
		if works {
			working = append(working, here...)
		}
	}
	if len(working) > 0 {
		return working
	}
	return all
}

// mistakes returns what no change of the cluster can mend in the template.
func mistakes(res *resource.Resource, getenv func(string) string) []string {
	r := &renderer{res, getenv}
	var found []string
	for _, a := range r.attempts() {
		if a.err != nil && errors.Is(a.err, resource.ErrMistake) && !slices.Contains(found, a.err.Error()) {
			found = append(found, a.err.Error())
		}
	}
	return found
}

// missingKeys returns the keys that the template asks for and the resource's keys
// leave out: those without which it renders something else.
func missingKeys(res *resource.Resource, getenv func(string) string) []string {
	r := &renderer{res, getenv}
	missing := map[string]bool{}
	for _, a := range r.attempts() {
		for key := range a.keys {
			name, seen := r.all(key)
			if _, selected := res.Relative(key); selected || !seen || strings.Contains(name, "/members/") {
				continue
			}
			out, err := r.render(a.keys, func(k string) (string, bool) {
				if k == key {
					return r.all(k)
				}
				return res.Relative(k)
			})
			if out != a.out || (err == nil) != (a.err == nil) {
				missing[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(missing))
}

// renderFile renders a resource with its own keys, if they are in a file.
func renderFile(ctx context.Context, res *resource.Resource, opts *Options) error {
	if !opts.InFile(res.Backend) {
		return nil
	}
	backend, err := opts.Open(res.Backend)
	if err != nil {
		return nil // a problem of the backend
	}
	defer backend.Close()
	updates, err := backend.Load(ctx, res.Paths)
	if err != nil {
		return err
	}
	keys := map[string]string{}
	for _, update := range updates {
		maps.Copy(keys, update.Keys)
	}
	r := &renderer{res, opts.Getenv}
	_, err = r.render(keys, res.Relative)
	if errors.Is(err, resource.ErrMistake) {
		return nil // found with the built-in clusters
	}
	if err != nil {
		err = fmt.Errorf("%w (with the keys of %s)", err, res.Backend)
	}
	return err
}

// noDNS answers every lookup with an address for documentation: what a name means
// on this host says nothing about the template.
type noDNS struct{}

func (noDNS) LookupIP(_ context.Context, network, _ string) ([]net.IP, error) {
	if network == "ip6" {
		return []net.IP{net.ParseIP("2001:db8::1")}, nil
	}
	return []net.IP{net.IPv4(192, 0, 2, 1)}, nil
}

func (noDNS) LookupSRV(context.Context, string, string, string) (string, []*net.SRV, error) {
	return "", []*net.SRV{{Target: "host.example.", Port: 5432}}, nil
}
