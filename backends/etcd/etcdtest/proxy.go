package etcdtest

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy passes TCP connections on to one address, until a test says otherwise.
// Its methods may be called by several goroutines at once.
type Proxy struct {
	t        testing.TB
	listener net.Listener

	mu     sync.Mutex
	target string
	conns  map[net.Conn]bool
	total  int
	// cut refuses connections; frozen passes nothing on but keeps them open.
	cut    bool
	frozen bool
	thaw   *sync.Cond
	closed bool
	wg     sync.WaitGroup
}

// NewProxy starts a proxy at an address of its own in front of target (host
// and port), which may also be set later. It is closed when the test ends.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{t: t, listener: l, target: target, conns: map[net.Conn]bool{}}
	p.thaw = sync.NewCond(&p.mu)
	p.wg.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// Addr is the proxy's own address, host and port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// SetTarget changes where new connections go.
func (p *Proxy) SetTarget(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// Cut closes every connection, and each new one at once, until Resume.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	p.drop()
}

// Break closes every connection but lets new ones through.
func (p *Proxy) Break() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop()
}

// Freeze keeps every connection open, and accepts new ones, but passes nothing
// on: the far side looks dead without a word, as behind a firewall that drops.
func (p *Proxy) Freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = true
}

// Resume ends Cut and Freeze. What was held back by Freeze is passed on.
func (p *Proxy) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut, p.frozen = false, false
	p.thaw.Broadcast()
}

// Accepted is the number of connections that were made since the start.
func (p *Proxy) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.total
}

func (p *Proxy) drop() {
	for c := range p.conns {
		c.Close()
	}
	// Whoever waits for a thaw finds its connection closed.
	p.thaw.Broadcast()
}

func (p *Proxy) close() {
	p.listener.Close()
	p.mu.Lock()
	p.closed = true
	p.frozen = false
	p.drop()
	p.mu.Unlock()
	p.wg.Wait()
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			p.t.Errorf("proxy: accept: %v", err)
			return
		}
		p.mu.Lock()
		p.total++
		refused := p.cut || p.closed
		target := p.target
		if !refused {
			p.conns[c] = true
		}
		p.mu.Unlock()
		if refused {
			c.Close()
			continue
		}
		p.wg.Go(func() { p.serve(c, target) })
	}
}

// serve passes bytes both ways until either side ends.
func (p *Proxy) serve(near net.Conn, target string) {
	defer p.forget(near)
	far, err := net.DialTimeout("tcp", target, 5*time.Second)
	if err != nil {
		return
	}
	p.mu.Lock()
	live := p.conns[near] && !p.closed
	if live {
		p.conns[far] = true
	}
	p.mu.Unlock()
	defer p.forget(far)
	if !live {
		return
	}
	var both sync.WaitGroup
	pass := func(to, from net.Conn) {
		p.copy(to, from)
		to.Close()
		from.Close()
	}
	both.Go(func() { pass(far, near) })
	both.Go(func() { pass(near, far) })
	both.Wait()
}

func (p *Proxy) forget(c net.Conn) {
	c.Close()
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
}

func (p *Proxy) copy(to io.Writer, from io.Reader) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			p.mu.Lock()
			for p.frozen && !p.closed {
				p.thaw.Wait()
			}
			p.mu.Unlock()
			if _, werr := to.Write(buf[:n]); werr != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
