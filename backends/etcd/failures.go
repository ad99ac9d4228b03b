package etcd

import (
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

// What becomes of a connection before the far side says its first word, and
// what to do about it.
var (
	errSpeaksTLS    = errors.New("it speaks TLS: if it is a TLS port, write https:// and set client-ca-keys")
	errSpeaksHTTP1  = errors.New("it speaks HTTP/1, not gRPC: is it etcd's client port?")
	errHungUpOnText = errors.New("it hung up without a word: if it is a TLS port, write https:// and set client-ca-keys")
	errHungUpOnTLS  = errors.New("it hung up without a word: if it is a port without TLS, write http:// and leave out the TLS options")
	errNoAnswer     = errors.New("it accepts connections but does not answer")
)

// failures is why each node that cannot be talked to cannot. The connections
// write it, whoever reports an error reads it.
type failures struct {
	mu   sync.Mutex
	last map[string]error // by host:port
	// all is called once want nodes have failed; nil if nobody waits for that.
	all  func()
	want int
}

// restart forgets everything and has all called once want nodes have failed.
func (f *failures) restart(want int, all func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last, f.want, f.all = nil, want, all
}

func (f *failures) add(node string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.last == nil {
		f.last = map[string]error{}
	}
	f.last[node] = err
	if f.all != nil && len(f.last) >= f.want {
		f.all()
		f.all = nil
	}
}

// addConnected is add for what ended a connection that had been made. If we
// ended it ourselves it was for lack of an answer, unless a better reason is known.
func (f *failures) addConnected(node string, plain bool, err error) {
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE):
		err = errHungUpOnTLS
		if plain {
			err = errHungUpOnText
		}
	case errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		if f.knows(node) {
			return
		}
		err = errNoAnswer
	}
	f.add(node, err)
}

func (f *failures) knows(node string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last[node] != nil
}

func (f *failures) clear(node string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.last, node)
}

func (f *failures) none() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.last) == 0
}

// wrap puts what is known about the nodes in place of cause, an error of gRPC
// that says less. It tells an access denied only if that is what every node
// did: otherwise another node may let us in as soon as it is back.
func (f *failures) wrap(cause error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.last) == 0 {
		return fmt.Errorf("connect to etcd: %w", plainError{cause})
	}
	e := &unreachable{causes: []error{cause}}
	denied := true
	var parts []string
	for _, node := range slices.Sorted(maps.Keys(f.last)) {
		err := f.last[node]
		parts = append(parts, node+": "+describe(err))
		e.causes = append(e.causes, err)
		denied = denied && rejectsCertificate(err)
	}
	e.text = "connect to etcd: " + strings.Join(parts, "; ")
	if denied {
		e.causes = append(e.causes, backends.ErrDenied)
	}
	return e
}

// unreachable is the error of a request that reached no node.
type unreachable struct {
	text   string
	causes []error
}

func (e *unreachable) Error() string   { return e.text }
func (e *unreachable) Unwrap() []error { return e.causes }

// describe puts one node's failure into words and says what to do about it.
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
		// The operation and the address have been said.
		return op.Err.Error()
	}
	return err.Error()
}

// rejectsCertificate tells whether err is the alert with which a TLS server
// refuses a client's certificate.
func rejectsCertificate(err error) bool {
	// crypto/tls hands out the alerts of the far side in a type of its own that
	// is not exported but is the alert's number.
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
