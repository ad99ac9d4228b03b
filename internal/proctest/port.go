package proctest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// reserved keeps the reservations of this process open until it ends.
var reserved struct {
	sync.Mutex
	ports []net.Listener
}

// FreePort returns a port of 127.0.0.1 that nobody listens on, and never the same
// one twice, not even to another test program that runs at the same time: a server
// of a test gets it back after it was stopped. It lies below the ports that the
// system gives to outgoing connections.
func FreePort(t testing.TB) int {
	t.Helper()
	for range 1000 {
		if port := 12000 + rand.IntN(20000); reserve(port) {
			return port
		}
	}
	t.Fatal("no free port in 1000 tries")
	return 0
}

// FreePair returns a free port whose successor is free as well.
func FreePair(t testing.TB) int {
	t.Helper()
	for range 100 {
		if port := FreePort(t); reserve(port + 1) {
			return port
		}
	}
	t.Fatal("no two free ports side by side in 100 tries")
	return 0
}

// reserve reports whether port is free. Test programs tell each other by a socket
// whose abstract name holds the port, since the port itself must stay free.
func reserve(port int) bool {
	name, err := net.Listen("unix", fmt.Sprintf("@pc4patroni-test-port-%d", port))
	if err != nil {
		return false
	}
	l, err := net.Listen("tcp", Loopback(port))
	if err != nil {
		name.Close()
		return false
	}
	l.Close()
	reserved.Lock()
	defer reserved.Unlock()
	reserved.ports = append(reserved.ports, name)
	return true
}
