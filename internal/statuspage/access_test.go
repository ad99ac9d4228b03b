package statuspage

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pc4patroni/resource/engine"
)

// TestAccess serves with TLS and a password.
func TestAccess(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The certificate that a test server of the standard library has.
	lender := httptest.NewTLSServer(nil)
	defer lender.Close()
	key, err := x509.MarshalPKCS8PrivateKey(lender.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	write("page.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: lender.Certificate().Raw})))
	write("page.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	// The password is "open sesame".
	write("web.yml", `tls_server_config: {cert_file: page.crt, key_file: page.key}
basic_auth_users: {prometheus: $2a$04$51fpg7V9Kte4ggpeaScEJuH7NqEv7IB9.32JhZmetLd2T79CfoesG}
`)
	access := filepath.Join(dir, "web.yml")
	if err := CheckAccess(access); err != nil {
		t.Fatal(err)
	}

	l, err := Listen(t.Context(), "127.0.0.1:0", "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		New("", l, access, quiet).Serve(ctx, &toldEngine{status: engine.Status{Backends: connected()}})
	}()
	defer func() { cancel(); <-done }()

	client := lender.Client()
	defer client.CloseIdleConnections()
	ask := func(scheme, password string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, scheme+"://"+l.Addr().String()+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		if password != "" {
			r.SetBasicAuth("prometheus", password)
		}
		got, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got.Body.Close()
		return got.StatusCode
	}
	for _, c := range []struct {
		scheme, password string
		want             int
	}{
		{"https", "open sesame", http.StatusOK},
		{"https", "wrong", http.StatusUnauthorized},
		{"https", "", http.StatusUnauthorized},
		{"http", "open sesame", http.StatusBadRequest},
	} {
		if got := ask(c.scheme, c.password); got != c.want {
			t.Errorf("%s with the password %q: status %d, want %d", c.scheme, c.password, got, c.want)
		}
	}

	// The file is read again, so that a user can be added without a restart.
	write("web.yml", "tls_server_config: {cert_file: page.crt, key_file: page.key}\n")
	if got := ask("https", ""); got != http.StatusOK {
		t.Errorf("without users: status %d, want %d", got, http.StatusOK)
	}
}

func TestCheckAccess(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct{ text, want string }{
		"misspelt.yml": {"basic_auth_user: {}\n", "basic_auth_user"},
		"password.yml": {"basic_auth_users: {a: plain}\n", "hash"},
		"absent.yml":   {"tls_server_config: {cert_file: a.crt, key_file: a.key}\n", "a.crt"},
		"gone.yml":     {"", "no such file"},
	} {
		path := filepath.Join(dir, name)
		if c.text != "" {
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		err := CheckAccess(path)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want it to name the file and %q", name, err, c.want)
		}
	}
	if err := CheckAccess(""); err != nil {
		t.Errorf("without a file: %v", err)
	}
}
