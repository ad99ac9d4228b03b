package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"pc4patroni/funcs"
	"pc4patroni/resource"
	"pc4patroni/resource/install"
)

// render returns what the file should be, given its present state. A template
// that prints the time is rendered as of the time at which the file was last
// written: if nothing else has changed the bytes are those of the file, and
// the passing of time alone is not a change.
func (r *resourceState) render(have install.State) (install.Want, error) {
	want := install.Want{UID: r.UID, GID: r.GID, Mode: r.Mode}
	if err := r.requireKeys(); err != nil {
		return want, err
	}
	now := time.Now().Truncate(time.Second)
	if !r.usesTime || !have.Exists {
		if err := r.execute(&want, now); err != nil || !r.usesTime || !have.Exists {
			return want, err
		}
	}
	if err := r.execute(&want, have.ModTime()); err != nil {
		return want, err
	}
	if !r.usesTime {
		return want, nil
	}
	if differs, err := install.Compare(r.target, have, want); err != nil || !differs {
		return want, err
	}
	return want, r.execute(&want, now)
}

// noValue is what text/template prints for something that is not there, such
// as a field of nothing. No configuration is meant to contain it.
const noValue = "<no value>"

// execute renders the template as of now into want.
func (r *resourceState) execute(want *install.Want, now time.Time) error {
	env := funcs.Env{
		Store:    r.keys.store,
		Prefix:   r.Prefix,
		Getenv:   r.unit.engine.options().Getenv,
		Resolver: beatingResolver{&r.unit.live},
		Now:      func() time.Time { return now },
	}
	data, err := r.Render(&env)
	r.usesTime = env.UsedTime
	for _, problem := range r.keys.store.Problems() {
		if r.firstTime(problem) {
			r.unit.log.Warn("member is unusable and left out", "resource", r.Name, "err", problem)
		}
	}
	if err != nil && !errors.Is(err, resource.ErrMistake) {
		err = &heldError{err}
	}
	if i := bytes.Index(data, []byte(noValue)); err == nil && i >= 0 {
		err = fmt.Errorf("template %s: what it renders has %s in line %d: a field or key that is not there is printed; check for it with {{if}}, or give it a default",
			r.Src, noValue, 1+bytes.Count(data[:i], []byte("\n")))
	}
	if err != nil {
		return err
	}
	want.Data, want.ModTime = data, time.Time{}
	if r.usesTime {
		want.ModTime = now
	}
	return nil
}

// beatingResolver shows that a template which waits for one name after the other
// is alive: each lookup is bounded, but not their number.
type beatingResolver struct{ live *liveness }

func (b beatingResolver) LookupIP(ctx context.Context, network, host string) ([]net.IP, error) {
	b.live.beat()
	return net.DefaultResolver.LookupIP(ctx, network, host)
}

func (b beatingResolver) LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error) {
	b.live.beat()
	return net.DefaultResolver.LookupSRV(ctx, service, proto, name)
}
