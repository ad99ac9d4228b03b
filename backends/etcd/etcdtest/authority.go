package etcdtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority is a certificate authority that lives as long as the test.
type Authority struct {
	// CertFile is the path of its certificate, in PEM.
	CertFile string

	t    testing.TB
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Pair is the paths of a certificate and of its key, both in PEM.
type Pair struct{ Cert, Key string }

// NewAuthority makes a certificate authority. Each one is a stranger to the others.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{t: t, dir: t.TempDir()}
	a.CertFile = filepath.Join(a.dir, "ca.pem")
	a.key = newKey(t)
	template := &x509.Certificate{
		SerialNumber:          newSerial(t),
		Subject:               pkix.Name{CommonName: "etcdtest authority"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	writePEM(t, a.CertFile, "CERTIFICATE", der)
	return a
}

// CertOption changes what Issue puts into a certificate.
type CertOption func(*x509.Certificate)

// ForServer makes a server's certificate, for 127.0.0.1, ::1 and localhost.
func ForServer() CertOption {
	return func(c *x509.Certificate) {
		c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
		c.DNSNames = []string{"localhost"}
	}
}

// ForHost makes a server's certificate for that one host name.
func ForHost(name string) CertOption {
	return func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{name} }
}

// ForAddress makes a server's certificate for that one address.
func ForAddress(ip string) CertOption {
	return func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = []net.IP{net.ParseIP(ip)}, nil }
}

// Expired makes a certificate that was valid until an hour ago.
func Expired() CertOption {
	return func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	}
}

// Issue writes a certificate for commonName and its key. The file names are
// made of commonName, so issuing again for the same name replaces the files, as
// a rotation does: each of them at once, but one after the other.
func (a *Authority) Issue(commonName string, opts ...CertOption) Pair {
	a.t.Helper()
	template := &x509.Certificate{
		SerialNumber: newSerial(a.t),
		Subject:      pkix.Name{CommonName: commonName},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		// A server of etcd calls itself with its own certificate, so one
		// certificate must do for both sides.
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	for _, opt := range opts {
		opt(template)
	}
	key := newKey(a.t)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	pair := Pair{
		Cert: filepath.Join(a.dir, commonName+".pem"),
		Key:  filepath.Join(a.dir, commonName+".key"),
	}
	writePEM(a.t, pair.Cert, "CERTIFICATE", der)
	writePEM(a.t, pair.Key, "PRIVATE KEY", keyDER)
	return pair
}

// ClientConfig is what a client of the test itself needs.
func (a *Authority) ClientConfig() *tls.Config {
	a.t.Helper()
	pair := a.Issue("etcdtest-client")
	cert, err := tls.LoadX509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		a.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newSerial(t testing.TB) *big.Int {
	t.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		t.Fatal(err)
	}
	return serial
}

func writePEM(t testing.TB, path, kind string, der []byte) {
	t.Helper()
	data := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}
