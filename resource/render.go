package resource

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"pc4patroni/funcs"
)

type runStore = *funcs.Store

// errHeld is wrapped by the errors of a resource that cannot be rendered now.
var errHeld = errors.New("held")

// heldError is a reason to leave the file as it is.
type heldError struct{ err error }

func (e *heldError) Error() string { return e.err.Error() }

func (e *heldError) Unwrap() []error { return []error{errHeld, e.err} }

// render returns what the file should be, given its present state. A template
// that prints the time is rendered as of the time at which the file was last
// written: if nothing else has changed the bytes are those of the file, and
// the passing of time alone is not a change.
func (u *unit) render(r *tracked, have fileState) (content, error) {
	want := content{mode: r.mode, uid: r.uid, gid: r.gid}
	if r.store.Len() == 0 && !r.AllowEmpty {
		return want, &heldError{fmt.Errorf("no key at or below %s: check the prefix; the file stays as it is unless allow_empty = true", describePaths(r.Paths))}
	}
	now := time.Now().Truncate(time.Second)
	if !r.usesTime || !have.exists {
		if err := u.execute(r, &want, now); err != nil || !r.usesTime || !have.exists {
			return want, err
		}
	}
	if err := u.execute(r, &want, have.modTime()); err != nil {
		return want, err
	}
	if !r.usesTime {
		return want, nil
	}
	if differ, err := differs(r.target, have, want); err != nil || !differ {
		return want, err
	}
	return want, u.execute(r, &want, now)
}

// noValue is what text/template prints for something that is not there, such
// as a field of nothing. No configuration is meant to contain it.
const noValue = "<no value>"

// execute renders the template as of now into want.
func (u *unit) execute(r *tracked, want *content, now time.Time) error {
	var data []byte
	var err error
	u.renderers.do(func() {
		data, err = r.source.execute(func(env *funcs.Env) {
			env.Store, env.Prefix, env.Getenv = r.store, r.Prefix, u.opts.Getenv
			env.Now = func() time.Time { return now }
		}, func(env *funcs.Env) { r.usesTime = env.UsedTime })
	})
	u.logProblems(r)
	if err != nil {
		return &heldError{err}
	}
	if i := bytes.Index(data, []byte(noValue)); i >= 0 {
		return &heldError{fmt.Errorf("%s: what it renders has %s in line %d: a field or key that is not there is printed; check for it with {{if}}, or give it a default",
			filepath.Join(r.source.dir, r.Src), noValue, 1+bytes.Count(data[:i], []byte("\n")))}
	}
	want.data, want.mtime = data, time.Time{}
	if r.usesTime {
		want.mtime = now
	}
	return nil
}

// problemsRemembered bounds how many problems are remembered as logged.
const problemsRemembered = 100

// logProblems logs what is wrong with members, each of it once.
func (u *unit) logProblems(r *tracked) {
	for _, problem := range r.store.Problems() {
		if r.problems[problem] {
			continue
		}
		if r.problems == nil || len(r.problems) >= problemsRemembered {
			r.problems = map[string]bool{}
		}
		r.problems[problem] = true
		u.log.Warn("member is unusable and left out", "resource", r.Name, "err", problem)
	}
}

func describePaths(paths []string) string {
	if len(paths) == 1 {
		return paths[0]
	}
	return fmt.Sprintf("%s or %d more", paths[0], len(paths)-1)
}

func hashOf(want content) [32]byte { return sha256.Sum256(want.data) }
