package resource

import (
	"sync"
	"testing"
)

func TestRenderersAreReused(t *testing.T) {
	var rs renderers
	n := 0
	for range 100 {
		rs.do(func() { n++ })
	}
	if n != 100 {
		t.Errorf("%d of 100 jobs were done", n)
	}
	rs.rest()
}

// A job that waits keeps no other one waiting.
func TestRenderersGrow(t *testing.T) {
	var rs renderers
	release := make(chan struct{})
	var waiting sync.WaitGroup
	for range 50 {
		waiting.Go(func() { rs.do(func() { <-release }) })
	}
	rs.do(func() {})
	close(release)
	waiting.Wait()
	rs.rest()
}
