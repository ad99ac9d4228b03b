package etcd

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"pc4patroni/backends"
)

// A version is the ID of the cluster in hexadecimal and a revision:
// "cdf818194e3a8c32/42". The ID is 0 where it is not known: some headers of
// etcd's grpc-proxy have none.

func makeVersion(cluster uint64, revision int64) backends.Version {
	return backends.Version(strconv.FormatUint(cluster, 16) + "/" + strconv.FormatInt(revision, 10))
}

// parseVersion returns revision 0 for the empty version and for what is none.
func parseVersion(v backends.Version) (cluster uint64, revision int64) {
	id, rev, _ := strings.Cut(string(v), "/")
	cluster, err := strconv.ParseUint(id, 16, 64)
	if err != nil {
		return 0, 0
	}
	if revision, err = strconv.ParseInt(rev, 10, 64); err != nil {
		return 0, 0
	}
	return cluster, max(revision, 0)
}

// sameCluster tells whether two cluster IDs can be those of one cluster.
func sameCluster(a, b uint64) bool { return a == b || a == 0 || b == 0 }

// present asks what the store's cluster ID and revision are now. The read is
// linearizable: no member that lags behind or is cut off answers it. It counts
// the keys of the first of paths that may be read; allowed is false if there
// is none.
func (c *Client) present(ctx context.Context, paths ...string) (cluster uint64, revision int64, allowed bool, err error) {
	for _, p := range paths {
		r := rangeOf(p)
		resp, err := request(ctx, c, func(ctx context.Context) (*pb.RangeResponse, error) {
			return c.kv.Range(ctx, &pb.RangeRequest{Key: []byte(r.key), RangeEnd: []byte(r.end), CountOnly: true, Limit: 1})
		})
		switch classify(err) {
		case forbidden:
			continue
		case noUser:
			return 0, 0, false, c.noUserError()
		}
		if err != nil {
			return 0, 0, false, err
		}
		return resp.Header.GetClusterId(), resp.Header.GetRevision(), true, nil
	}
	return 0, 0, false, nil
}

// resume finds out from where each path can be watched: from the version that
// the caller has where that is one of this store, and else after a full read.
func (w *watch) resume(ctx context.Context, paths []backends.WatchPath) error {
	after := make(map[string]backends.Version, len(paths))
	for _, p := range paths {
		if have, twice := after[p.Path]; twice && have != p.After {
			p.After = "" // a full state serves both
		}
		after[p.Path] = p.After
	}
	names := slices.Collect(maps.Keys(after))
	cluster, revision, allowed, err := w.c.present(ctx, backends.Minimize(names)...)
	if err != nil {
		return err
	}
	w.cluster, w.reached = cluster, revision
	var held []*path
	for _, name := range names {
		p := &path{name: name}
		id, rev := parseVersion(after[name])
		switch {
		case rev == 0:
		case !allowed:
			p.resync = backends.ResyncOther
		case !sameCluster(id, cluster) || rev > revision:
			p.resync = backends.ResyncReplaced
		default:
			p.revision = rev
		}
		held = append(held, p)
	}
	w.add(held)
	return nil
}
