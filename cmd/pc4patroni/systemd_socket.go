package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"pc4patroni/resource"
)

// socketPatience is how long systemd may take to accept a message. It is
// bounded because nobody else is: a socket that somebody made and does not
// read would block the writer for ever.
const socketPatience = time.Second

// newNotifier returns what tells systemd about the engine, or nil if the
// program was not started by it.
//
// Package daemon of coreos/go-systemd would write such messages too. It takes
// the socket from the environment of the process instead of from its caller,
// and sets no deadline.
func (p *program) newNotifier(engine *resource.Engine, grace func() time.Duration) *notifier {
	path := p.lookup("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	watchdog, err := watchdogTimeout(p.lookup("WATCHDOG_USEC"), p.lookup("WATCHDOG_PID"), os.Getpid())
	if err != nil {
		p.log.Warn("systemd's watchdog is not served", "err", err)
	}
	return newNotifier(engine, func(state string) error { return notifySystemd(path, state) }, watchdog, grace, p.log)
}

// notifySystemd sends one message to the socket at path; one that begins with
// @ is in the abstract name space. The socket is opened each time, since
// systemd may have been started anew.
func notifySystemd(path, state string) error {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(socketPatience)); err != nil {
		return err
	}
	_, err = conn.Write([]byte(state))
	return err
}

// watchdogTimeout reads what sd_watchdog_enabled(3) reads: the time, in
// microseconds, after which systemd takes a silent process for dead. It is 0
// if the watchdog is off or meant for another process.
func watchdogTimeout(usec, pid string, self int) (time.Duration, error) {
	if usec == "" || pid != "" && pid != strconv.Itoa(self) {
		return 0, nil
	}
	n, err := strconv.ParseInt(usec, 10, 64)
	timeout := time.Duration(n) * time.Microsecond
	if err != nil || n <= 0 || timeout/time.Microsecond != time.Duration(n) {
		return 0, fmt.Errorf("WATCHDOG_USEC is %q, not a number of microseconds", usec)
	}
	return timeout, nil
}
