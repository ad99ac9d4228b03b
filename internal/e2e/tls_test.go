package e2e

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

	"pc4patroni/internal/proctest"
)

// authority is a certificate authority of one test, with a certificate for servers on
// loopback and one for clients. The fields are paths of PEM files.
type authority struct {
	ca                      string
	serverCert, serverKey   string
	clientCert, clientKey   string
	expiredCert, expiredKey string
}

func newAuthority(t *testing.T, dir string) *authority {
	t.Helper()
	now := time.Now()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	root := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "pc4patroni end-to-end tests"},
		NotBefore:             now.Add(-24 * time.Hour),
		NotAfter:              now.Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, root, root, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{ca: filepath.Join(dir, "ca.pem")}
	writePEM(t, a.ca, "CERTIFICATE", der)

	issue := func(name string, notAfter time.Time) (cert, keyFile string) {
		own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
			SerialNumber: big.NewInt(time.Now().UnixNano()),
			Subject:      pkix.Name{CommonName: name},
			NotBefore:    now.Add(-24 * time.Hour),
			NotAfter:     notAfter,
			KeyUsage:     x509.KeyUsageDigitalSignature,
			ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
			DNSNames:     []string{"localhost"},
			IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		}, root, &own.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		private, err := x509.MarshalPKCS8PrivateKey(own)
		if err != nil {
			t.Fatal(err)
		}
		cert, keyFile = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
		writePEM(t, cert, "CERTIFICATE", der)
		writePEM(t, keyFile, "PRIVATE KEY", private)
		return cert, keyFile
	}
	a.serverCert, a.serverKey = issue("server", now.Add(24*time.Hour))
	a.clientCert, a.clientKey = issue("client", now.Add(24*time.Hour))
	a.expiredCert, a.expiredKey = issue("expired", now.Add(-time.Hour))
	return a
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	// Readable by the servers, which run as other users; the keys end with the test.
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o644); err != nil {
		t.Fatal(err)
	}
}

// clientConfig trusts the authority and shows the client's certificate.
func (a *authority) clientConfig(t *testing.T) *tls.Config {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(a.clientCert, a.clientKey)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(proctest.Read(t, a.ca))) {
		t.Fatal("the authority's certificate cannot be read")
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool, MinVersion: tls.VersionTLS12}
}
