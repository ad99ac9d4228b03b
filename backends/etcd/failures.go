package etcd

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"

	"pc4patroni/backends"
)

// What may go wrong before the first message on a connection, and what to do
// about it.
var (
	errSpeaksTLS    = errors.New("it speaks TLS: if it is a TLS port, write https:// and set client-ca-keys")
	errSpeaksHTTP1  = errors.New("it speaks HTTP/1, not gRPC: is it etcd's client port?")
	errHungUpOnText = errors.New("it closed the connection: if it is a TLS port, write https:// and set client-ca-keys")
	errHungUpOnTLS  = errors.New("it closed the connection: if it is a port without TLS, write http:// and leave out the TLS options")
	errNoAnswer     = errors.New("it accepts connections but does not answer")
)

// failures holds why each node that cannot be reached cannot: gRPC keeps only
// the text of one failure. Connections write it, errors of requests quote it.
type failures struct {
	mu   sync.Mutex
	last map[string]error // by host:port
}

// set records a failure. A nil error means that the node works.
func (f *failures) set(node string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		delete(f.last, node)
		return
	}
	f.last[node] = err
}

// setConnected records what ended a connection before the first message.
func (f *failures) setConnected(node string, plain bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE):
		err = errHungUpOnTLS
		if plain {
			err = errHungUpOnText
		}
	case errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		// We closed it. An earlier failure says more.
		err = cmp.Or(f.last[node], errNoAnswer)
	}
	f.last[node] = err
}

func (f *failures) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.last)
}

func (f *failures) none() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.last) == 0
}

// wrap replaces cause, an error of gRPC, by what is known about the nodes. Access
// is denied only if every node refuses our certificate: otherwise another node
// may accept it once it is back.
func (f *failures) wrap(cause error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.last) == 0 {
		return fmt.Errorf("connect to etcd: %w", plainError{cause})
	}
	denied := true
	var parts []string
	for _, node := range slices.Sorted(maps.Keys(f.last)) {
		err := f.last[node]
		parts = append(parts, node+": "+describe(err))
		denied = denied && rejectsCertificate(err)
	}
	text := strings.Join(parts, "; ")
	if denied {
		return fmt.Errorf("connect to etcd: %w: %s", backends.ErrDenied, text)
	}
	return errors.New("connect to etcd: " + text)
}

// describe says why a node cannot be reached, and what to do about it.
func describe(err error) string {
	var op *net.OpError
	var record tls.RecordHeaderError
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var hostname x509.HostnameError
	switch {
	case errors.As(err, &record):
		return "it does not speak TLS: if it is a port without TLS, write http:// and leave out the TLS options"
	case errors.As(err, &hostname):
		return err.Error() + ": use a name that the certificate has in node, or issue one for this name"
	case errors.As(err, &unknown):
		return err.Error() + ": set client-ca-keys to the authority that signed etcd's certificate"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return err.Error() + ": renew etcd's certificate, or set this host's clock"
	case rejectsCertificate(err):
		return fmt.Sprintf("etcd refuses our certificate: %v: check client-cert, and that etcd trusts its authority", err)
	case errors.As(err, &op) && op.Op == "dial":
		// The text already has the address.
		return op.Err.Error()
	}
	return err.Error()
}

// rejectsCertificate tells whether err is the alert with which a TLS server
// refuses a client's certificate.
func rejectsCertificate(err error) bool {
	// crypto/tls returns an alert as a number of an unexported type.
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" {
		return false
	}
	alert := reflect.ValueOf(op.Err)
	if alert.Kind() != reflect.Uint8 {
		return false
	}
	switch alert.Uint() {
	case 42, 43, 44, 45, 46, 48, 49, 116:
		// RFC 8446, section 6.2: bad_certificate, unsupported_certificate,
		// certificate_revoked, certificate_expired, certificate_unknown,
		// unknown_ca, access_denied, certificate_required.
		return true
	}
	return false
}
