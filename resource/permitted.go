package resource

import (
	"context"
	"errors"
	"strings"
	"time"

	"pc4patroni/backends"
)

// deliverPermitted reads what the routes need, all at once, and delivers it.
// Where the backend denies some of the paths, the resources that need those
// are told so and the others are read without them. It returns the routes of
// the others; all of them, usually.
func deliverPermitted(ctx context.Context, backend backends.Backend, rs *routes) (*routes, backends.Version, error) {
	snapshot, err := backend.Load(ctx, rs.paths())
	var denied map[route]error
	if errors.Is(err, backends.ErrPathDenied) && len(rs.all) > 1 {
		if denied, err = findDenied(ctx, backend, rs, err); err != nil {
			return nil, backends.Version{}, err
		}
		rs = rs.without(denied)
		snapshot, err = backend.Load(ctx, rs.paths())
	}
	if err != nil {
		return nil, backends.Version{}, err
	}
	now := time.Now()
	for to, reason := range denied {
		to.unit.mailbox.put(map[*tracked]*delta{to.resource: {denied: reason, at: now}})
	}
	rs.deliverAll(snapshot.Values, now)
	return rs, snapshot.Version, nil
}

// findDenied reads the paths of each resource by themselves, and returns the
// resources whose paths are denied with the reason. If that is all of them the
// error is the one given.
func findDenied(ctx context.Context, backend backends.Backend, rs *routes, all error) (map[route]error, error) {
	denied := map[route]error{}
	answers := map[string]error{}
	for _, to := range rs.all {
		key := strings.Join(to.resource.Paths, "\x00")
		err, asked := answers[key]
		if !asked {
			_, err = backend.Load(ctx, to.resource.Paths)
			answers[key] = err
		}
		switch {
		case errors.Is(err, backends.ErrPathDenied):
			denied[to] = err
		case err != nil:
			return nil, err
		}
	}
	if len(denied) == len(rs.all) {
		return nil, all
	}
	return denied, nil
}
