package check

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"pc4patroni/backends/file"
	"pc4patroni/funcs"
	"pc4patroni/resource"
)

//go:embed clusters/*.toml
var clusterFiles embed.FS

// clusters returns the keys of each built-in cluster, below its own path.
var clusters = sync.OnceValue(func() (all []map[string]string) {
	names, err := fs.Glob(clusterFiles, "clusters/*.toml")
	for _, name := range names {
		data, cannotRead := clusterFiles.ReadFile(name)
		keys, cannotParse := file.Parse(name, data)
		err = errors.Join(err, cannotRead, cannotParse)
		all = append(all, keys)
	}
	if err != nil {
		panic(err) // they are part of the program
	}
	return all
})

// attempt is one template rendered against one built-in cluster.
type attempt struct {
	keys map[string]string // named as in the backend
	out  string
	err  error
}

// renderer renders one resource.
type renderer struct {
	res      *resource.Resource
	getenv   func(string) string
	attempts []attempt
}

// newRenderer renders a resource against every cluster in every layout. Of the
// layouts those count in which it works for some cluster; if there is none, all.
func newRenderer(res *resource.Resource, getenv func(string) string) *renderer {
	r := &renderer{res: res, getenv: getenv}
	var working []attempt
	for _, layout := range layouts(res) {
		var here []attempt
		works := false
		for _, cluster := range clusters() {
			a := attempt{keys: make(map[string]string, len(cluster))}
			for key, value := range cluster {
				a.keys[path.Join(layout, key)] = value
			}
			a.out, a.err = r.render(a.keys, "")
			works = works || a.err == nil
			here = append(here, a)
		}
		r.attempts = append(r.attempts, here...)
		if works {
			working = append(working, here...)
		}
	}
	if len(working) > 0 {
		r.attempts = working
	}
	return r
}

// render executes the template with those of the keys, named as in the backend,
// that the resource selects, and with another one.
func (r *renderer) render(keys map[string]string, another string) (string, error) {
	store := funcs.NewStore()
	for key, value := range keys {
		relative, ok := r.res.Relative(key)
		if key == another {
			relative, ok = r.below(key)
		}
		if ok {
			store.Set(relative, value)
		}
	}
	data, err := r.res.Render(&funcs.Env{Store: store, Prefix: r.res.Prefix, Getenv: r.getenv, Resolver: noDNS{}, Now: func() time.Time { return time.Unix(0, 0) }})
	return string(data), err
}

// below returns the name of a key below the prefix, whatever the resource selects.
func (r *renderer) below(key string) (string, bool) {
	return strings.CutPrefix(key, strings.TrimSuffix(r.res.Prefix, "/"))
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

// mistakes returns what no change of the cluster can mend in the template.
func (r *renderer) mistakes() []string {
	var found []string
	for _, a := range r.attempts {
		if errors.Is(a.err, resource.ErrMistake) && !slices.Contains(found, a.err.Error()) {
			found = append(found, a.err.Error())
		}
	}
	return found
}

// missingKeys returns the keys that the template asks for and the resource's keys
// leave out: those without which it renders something else.
func (r *renderer) missingKeys() []string {
	missing := map[string]bool{}
	for _, a := range r.attempts {
		for key := range a.keys {
			name, below := r.below(key)
			if _, selected := r.res.Relative(key); selected || !below || strings.Contains(name, "/members/") {
				continue
			}
			if out, err := r.render(a.keys, key); out != a.out || (err == nil) != (a.err == nil) {
				missing[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(missing))
}

// renderFile renders the resource with its own keys, from a file. It leaves
// mistakes to the built-in clusters.
func (r *renderer) renderFile(ctx context.Context, client *file.Client) error {
	updates, err := client.Load(ctx, r.res.Paths)
	if err != nil {
		return err
	}
	keys := map[string]string{}
	for _, update := range updates {
		maps.Copy(keys, update.Keys)
	}
	_, err = r.render(keys, "")
	if err == nil || errors.Is(err, resource.ErrMistake) {
		return nil
	}
	return fmt.Errorf("%w (with the keys of %s)", err, r.res.Backend)
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
