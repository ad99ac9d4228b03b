package sdnotify

import (
	"fmt"
	"net"
	"strconv"
	"time"
)

// writeTimeout is how long systemd may take to accept a message. A socket that
// somebody made and does not read would block the writer for ever.
const writeTimeout = time.Second

// send sends one message to the socket at path; one that begins with @ is in
// the abstract name space. The socket is opened each time, since systemd may
// have been started anew.
//
// Package daemon of coreos/go-systemd takes the socket from the environment of
// the process, and sets no deadline.
func send(path, state string) error {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
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
	timeout, err := time.ParseDuration(usec + "us")
	if err != nil || timeout <= 0 {
		return 0, fmt.Errorf("WATCHDOG_USEC is %q, not a number of microseconds", usec)
	}
	return timeout, nil
}
