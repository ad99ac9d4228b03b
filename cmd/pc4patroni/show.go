package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"pc4patroni/backends"
	"pc4patroni/internal/report"
	"pc4patroni/internal/show"
	"pc4patroni/resource"
	"pc4patroni/resource/engine"
)

// show prints the clusters among the keys as the template functions see them,
// and how each resource stands with them. Of several backends, one that cannot
// be reached does not hide what the others hold.
func (p *program) show(ctx context.Context) error {
	p.askDaemon()
	set, readings, err := p.toRead()
	if err != nil {
		return err
	}
	if err := p.readAll(ctx, readings); err != nil {
		return err
	}
	view, err := p.view(ctx, set, readings)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if p.settings.Output == "json" {
		if err := view.WriteJSON(&out); err != nil {
			return err
		}
	} else {
		show.Table(&out, view)
	}
	if _, err := out.WriteTo(p.stdout); err != nil {
		return err
	}
	return p.verdict(ctx, view, readings)
}

// verdict is the error that decides the exit status.
func (p *program) verdict(ctx context.Context, v *report.View, readings []reading) error {
	var unread error
	keys := 0
	for _, r := range readings {
		keys += len(r.values)
		unread = errors.Join(unread, r.err)
	}
	usable, troubled := 0, 0
	for i := range v.Resources {
		r := &v.Resources[i]
		if r.Dest != "" {
			usable++
		}
		if r.ReloadOwed || r.Standing.Level > report.OK && r.State != engine.Pending.String() && r.State != engine.Waiting.String() {
			troubled++
		}
	}
	switch {
	case len(v.Resources) > 0 && usable == 0:
		return errNoneUsable
	case unread != nil:
		return unread
	case troubled > 0:
		return fmt.Errorf("%d of %d resources failed, are held or have a pending reload", troubled, len(v.Resources))
	case len(v.Clusters) > 0:
		return nil
	case keys == 0:
		return p.nothingBelow(ctx, readings)
	default:
		return fmt.Errorf("none of the %d keys belongs to a Patroni cluster", keys)
	}
}

// view renders and compares every resource of the set, if there is one, as -noop
// does, with the keys that have been read already.
func (p *program) view(ctx context.Context, set *resource.Set, readings []reading) (*report.View, error) {
	status := engine.Status{Backends: make(map[string]engine.BackendStatus)}
	keys := make(map[string]map[string]string)
	byBackend := make(map[string]reading)
	for _, r := range readings {
		status.Backends[r.backend] = engine.BackendStatus{Connected: r.err == nil, Err: r.err}
		keys[r.backend], byBackend[r.backend] = r.values, r
	}
	if set != nil {
		opts := p.engineOptions(p.settings)
		opts.Open = func(name string) (backends.Backend, error) { return asRead{byBackend[name]}, nil }
		opts.Noop, opts.KeepStageFile, opts.Logger = true, false, nil // what would be logged is printed
		status.Resources = engine.New(opts).Once(ctx, ctx, set, p.settings.Wait)
		if ctx.Err() != nil {
			return nil, interrupted(ctx)
		}
	}
	v := report.NewView(time.Now(), status, report.Clusters(keys), nil)
	v.Host, v.Version = report.HostName(), report.ReadBuild().Version
	for i := range v.Resources {
		v.Resources[i].Look(&status.Resources[i], keys[v.Resources[i].Backend])
	}
	return v, nil
}

// asRead is a backend that holds what was read from another.
type asRead struct{ reading }

var _ backends.Backend = asRead{}

func (r asRead) Load(context.Context, []string) ([]backends.Update, error) {
	if r.err != nil {
		// Trying again has been done already.
		return nil, fmt.Errorf("%w: %w", backends.ErrDenied, r.err)
	}
	return r.updates, nil
}

func (r asRead) Watch(context.Context, []backends.WatchPath, time.Duration, func([]backends.Update) error) error {
	return errors.New("what was read once cannot be watched")
}

func (r asRead) Close() error { return nil }

// askWithin is how long -show waits for the daemon's word.
const askWithin = time.Second

// askDaemon warns of what -show cannot see: that the daemon runs another
// configuration than the one on disk, and why it is not ready, such as a check
// that fails. It can be asked only where it listens.
func (p *program) askDaemon() {
	if p.settings.Listen == "" {
		return
	}
	client := &http.Client{Timeout: askWithin, Transport: &http.Transport{DisableKeepAlives: true}} // past any proxy
	answer, err := client.Get("http://" + p.settings.Listen + "/status.json")
	if err != nil {
		p.log.Debug("daemon not reached", "err", err)
		return
	}
	defer answer.Body.Close()
	var status struct {
		Outdated bool     `json:"outdated"`
		Reasons  []string `json:"reasons"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&status); err != nil {
		p.log.Debug("daemon not understood", "err", err)
		return
	}
	if status.Outdated {
		p.log.Warn("the configuration on disk differs from the one that the daemon runs: run systemctl reload, or send SIGHUP")
	}
	for _, reason := range status.Reasons {
		p.log.Warn("the daemon is not ready", "why", reason)
	}
}
