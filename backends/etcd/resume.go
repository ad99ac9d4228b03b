package etcd

import (
	"context"
	"fmt"
	"maps"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"pc4patroni/backends"
)

// A version is the ID of the cluster in hexadecimal and a revision:
// "cdf818194e3a8c32/42". The ID is 0 where it is not known: some headers of
// etcd's grpc-proxy have none.

func makeVersion(cluster uint64, revision int64) backends.Version {
	return backends.Version(fmt.Sprintf("%x/%d", cluster, revision))
}

// parseVersion returns revision 0 for a version that is empty or not etcd's.
func parseVersion(v backends.Version) (cluster uint64, revision int64) {
	if _, err := fmt.Sscanf(string(v), "%x/%d", &cluster, &revision); err != nil {
		return 0, 0
	}
	return cluster, max(revision, 0)
}

// sameCluster tells whether two cluster IDs can be those of one cluster.
func sameCluster(a, b uint64) bool { return a == b || a == 0 || b == 0 }

// present returns the store's cluster ID and revision. The read is linearizable:
// a member that lags behind or is cut off cannot answer it. It counts the keys of
// the first of paths that may be read; allowed is false if there is none.
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

// resume decides from where each path is watched: from the caller's version if
// this store had it, and otherwise after a full read.
func (w *watch) resume(ctx context.Context, paths []backends.WatchPath) error {
	after := make(map[string]backends.Version, len(paths))
	for _, p := range paths {
		if have, twice := after[p.Path]; twice && have != p.After {
			p.After = "" // a full state serves both
		}
		after[p.Path] = p.After
	}
	names := slices.Sorted(maps.Keys(after))
	cluster, revision, allowed, err := w.c.present(ctx, names...)
	if err != nil {
		return err
	}
	w.cluster, w.reached = cluster, revision
	for _, name := range names {
		wr := &watcher{path: name}
		id, rev := parseVersion(after[name])
		switch {
		case rev == 0:
		case !allowed:
			wr.resync = backends.ResyncOther
		case !sameCluster(id, cluster) || rev > revision:
			wr.resync = backends.ResyncReplaced
		default:
			wr.revision, wr.next = rev, rev+1
		}
		w.watchers = append(w.watchers, wr)
		if wr.revision == 0 {
			w.enqueue(wr)
		}
	}
	return nil
}
