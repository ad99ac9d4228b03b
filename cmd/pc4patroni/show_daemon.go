package main

import (
	"encoding/json"
	"net/http"
	"time"
)

// askWithin is how long -show waits for the daemon's word.
const askWithin = time.Second

// warnOutdated warns if the daemon runs another configuration than the one that
// -show reads. It can be asked only where it listens.
func (p *program) warnOutdated() {
	if p.settings.Listen == "" {
		return
	}
	client := &http.Client{Timeout: askWithin, Transport: &http.Transport{DisableKeepAlives: true}} // past any proxy
	answer, err := client.Get("http://" + p.settings.Listen + "/status.json")
	if err != nil {
		p.log.Debug("the daemon was not asked", "err", err)
		return
	}
	defer answer.Body.Close()
	var status struct {
		Outdated bool `json:"outdated"`
	}
	if json.NewDecoder(answer.Body).Decode(&status) == nil && status.Outdated {
		p.log.Warn("the configuration on disk is newer than the one that the daemon runs: run systemctl reload, or send SIGHUP")
	}
}
