package etcd

import (
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
)

// countingContext never ends, and counts who wants to be told of that.
type countingContext struct {
	context.Context
	done    chan struct{}
	waiting int
}

func (c *countingContext) Done() <-chan struct{} { return c.done }

func (c *countingContext) AfterFunc(func()) func() bool {
	c.waiting++
	return func() bool { c.waiting--; return true }
}

// A watch may open streams for years, one after each token that expires.
func TestClosedStreamIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSimStore(rand.New(rand.NewPCG(1, 1)))
		c := newSimClient(t, Config{Nodes: []string{"http://m0:2379"}}, s)
		ctx := &countingContext{Context: context.Background(), done: make(chan struct{})}
		for range 3 {
			st, err := openStream(ctx, c)
			if err != nil {
				t.Fatal(err)
			}
			st.close()
		}
		if ctx.waiting != 0 {
			t.Errorf("%d closed streams are still referred to", ctx.waiting)
		}
	})
}
