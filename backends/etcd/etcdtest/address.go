package etcdtest

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// freeAddr is an address on 127.0.0.1 where nothing listens. Its port is not
// one that the system gives to outgoing connections, so that it is still free
// when a server that was stopped wants it back.
func (s *Server) freeAddr() string {
	s.t.Helper()
	for range 1000 {
		addr := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000))
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			return addr
		}
	}
	s.t.Fatal("no free port found")
	return ""
}
