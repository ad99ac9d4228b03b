package etcd

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/etcd/server/v3/embed"

	"pc4patroni/backends"
	"pc4patroni/backends/etcd/etcdtest"
)

func asBatman(s *etcdtest.Server) Config {
	return Config{Nodes: []string{s.URL()}, Username: "batman", Password: "secret"}
}

// TestRestrictedRole: the role covers PREFIX/ and nothing else, not even
// PREFIX. What it does not cover costs the others nothing.
func TestRestrictedRole(t *testing.T) {
	s := etcdtest.Start(t, etcdtest.WithAuth())
	s.AddUser("batman", "secret", batman)
	s.Put("/service/batman", "not for us")
	s.Put(batman+"leader", "db1")
	s.Put("/service/batman2/leader", "not for us")
	c := newClient(t, asBatman(s))
	for _, tt := range []struct{ allowed, denied []string }{
		{allowed: []string{batman}},
		{allowed: []string{batman + "leader", batman}},
		{[]string{batman + "leader"}, []string{"/service/batman"}},
		// Below a path that is denied lies one that is not.
		{[]string{batman + "leader", batman}, []string{"/", "/service/", "/service/batman2/", "/x"}},
		{denied: []string{"/service/batman2/", "/service/"}},
	} {
		paths := append(tt.denied, tt.allowed...)
		updates, err := c.Load(t.Context(), paths)
		if err != nil {
			t.Fatalf("Load(%q): %v", paths, err)
		}
		w := watchPaths(t, c, from("", paths...)...)
		for i, p := range tt.denied {
			if err := updates[i].Denied; !errors.Is(err, backends.ErrDenied) || updates[i].Keys != nil {
				t.Errorf("Load(%q): %s is %+v, want it denied", paths, p, updates[i])
			}
			if !errors.Is(w.denied[p], backends.ErrDenied) {
				t.Errorf("Watch(%q): %s is not denied: %v", paths, p, w.denied[p])
			}
		}
		s.Put(batman+"leader", "db2")
		for i, p := range tt.allowed {
			if diff := cmp.Diff(map[string]string{batman + "leader": "db1"}, updates[len(tt.denied)+i].Keys); diff != "" {
				t.Errorf("Load(%q): %s: -want +got:\n%s", paths, p, diff)
			}
			w.value(p, batman+"leader", "db2")
		}
		w.cancel()
		s.Put(batman+"leader", "db1")
	}
}

func TestDenied(t *testing.T) {
	s := etcdtest.Start(t, etcdtest.WithAuth())
	s.AddUser("batman", "secret", batman)
	for _, tt := range []struct {
		name   string
		change func(*Config)
		path   string
		want   string
		whole  bool
	}{
		{"wrong password", func(c *Config) { c.Password = "secretly wrong" }, batman,
			`log in to etcd as user "batman": access denied: wrong user name or password: check username and password`, true},
		{"unknown user", func(c *Config) { c.Username = "joker" }, batman,
			`log in to etcd as user "joker": access denied`, true},
		{"no user", func(c *Config) { c.Username, c.Password = "", "" }, batman,
			`read etcd without a user: access denied: etcd wants a user: set username and password-file`, true},
		{"sibling", func(*Config) {}, "/service/batman2/",
			`read "/service/batman2/" from etcd as user "batman": access denied: its role needs read permission on it (etcdctl role grant-permission ROLE read --prefix=true /service/batman2/)`, false},
		{"one key", func(*Config) {}, "/x",
			`read "/x" from etcd as user "batman": access denied: its role needs read permission on it (etcdctl role grant-permission ROLE read /x)`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := asBatman(s)
			tt.change(&cfg)
			c := newClient(t, cfg)
			updates, loadErr := c.Load(t.Context(), []string{tt.path})
			var watchErr error
			if tt.whole {
				watchErr = c.Watch(t.Context(), from("", tt.path), 0, nil)
			} else if loadErr == nil {
				loadErr = updates[0].Denied
				watchErr = watchPaths(t, c, from("", tt.path)...).denied[tt.path]
			}
			for _, err := range []error{loadErr, watchErr} {
				if !errors.Is(err, backends.ErrDenied) {
					t.Errorf("%v does not wrap ErrDenied", err)
				}
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%v, want ...%s...", err, tt.want)
				}
				if err != nil && strings.Contains(err.Error(), "secret") {
					t.Errorf("the password is told: %v", err)
				}
			}
		})
	}
}

// withJWT has etcd issue tokens that live for ttl, whatever is done with them.
func withJWT(t *testing.T, ttl string) etcdtest.Option {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "jwt.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return etcdtest.WithConfig(func(cfg *embed.Config) {
		cfg.AuthToken = "jwt,priv-key=" + file + ",sign-method=RS256,ttl=" + ttl
	})
}

// TestTokenExpires lives through several tokens. That is no event for anybody:
// no change is lost, nothing is read again, nothing is logged.
func TestTokenExpires(t *testing.T) {
	s := etcdtest.Start(t, etcdtest.WithAuth(), withJWT(t, "1s"))
	s.AddUser("batman", "secret", batman)
	s.Put(batman+"leader", "0")
	var logged bytes.Buffer
	cfg := asBatman(s)
	cfg.Silence = 600 * time.Millisecond
	cfg.Logger = slog.New(slog.NewTextHandler(&logged, nil))
	c := newClient(t, cfg)
	w := watchPaths(t, c, from("", batman)...)
	first := c.token.value.Load()
	n := 0
	for deadline := time.Now().Add(4 * time.Second); time.Now().Before(deadline); {
		n++
		s.Put(batman+"leader", fmt.Sprint(n))
		w.value(batman, batman+"leader", fmt.Sprint(n))
		w.signs(1)
	}
	if len(w.changes) != n || len(w.resyncs) != 1 {
		t.Errorf("%d changes of %d, full states %v", len(w.changes), n, w.resyncs)
	}
	if c.token.value.Load() == first {
		t.Error("the first token is still in use")
	}
	load(t, c, batman)
	w.cancel()
	w.wait()
	if logged.Len() > 0 {
		t.Errorf("logged: %s", logged.String())
	}
}

// TestSimpleTokenExpires leaves the client alone for longer than its token
// lives: a request gets a new one without a word.
func TestSimpleTokenExpires(t *testing.T) {
	s := etcdtest.Start(t, etcdtest.WithAuth(), etcdtest.WithTokenTTL(time.Second))
	s.AddUser("batman", "secret", batman)
	cfg := asBatman(s)
	cfg.Silence = time.Minute
	c := newClient(t, cfg)
	w := watchPaths(t, c, from("", batman)...)
	first := c.token.value.Load()
	for deadline := time.Now().Add(patience); c.token.value.Load() == first; load(t, c, batman) {
		if time.Now().After(deadline) {
			t.Fatal("the token does not expire")
		}
		time.Sleep(1500 * time.Millisecond) // each use of a token prolongs its life
	}
	s.Put(batman+"leader", "db1")
	w.value(batman, batman+"leader", "db1")
}

func TestPasswordFileIsReadAgain(t *testing.T) {
	s := etcdtest.Start(t, etcdtest.WithAuth())
	s.AddUser("batman", "first", "/service/batman/")
	file := filepath.Join(t.TempDir(), "password")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first\n")
	c := newClient(t, Config{Nodes: []string{s.URL()}, Username: "batman", PasswordFile: file})
	load(t, c, batman)
	// A changed password makes all tokens of the user invalid.
	s.SetPassword("batman", "second")
	if _, err := c.Load(t.Context(), []string{"/service/batman/"}); !errors.Is(err, backends.ErrDenied) {
		t.Errorf("Load with the old password: %v, want ErrDenied", err)
	}
	write("second\r\n")
	load(t, c, batman)
}

// TestPermissionComesAndGoes: etcd itself goes on to serve a watch whose user
// lost the permission.
func TestPermissionComesAndGoes(t *testing.T) {
	s := etcdtest.Start(t, etcdtest.WithAuth())
	s.AddUser("batman", "secret", batman, "/service/robin/")
	s.Put(batman+"leader", "db1")
	cfg := asBatman(s)
	cfg.Silence = 100 * time.Millisecond
	c := newClient(t, cfg)
	w := startWatch(t, c, 200*time.Millisecond, from("", batman, "/service/robin/")...)
	w.ready()
	s.RevokeRead("batman", batman)
	w.await("the path to be denied", func() bool { return errors.Is(w.denied[batman], backends.ErrDenied) })
	s.Put("/service/robin/leader", "db1")
	w.value("/service/robin/", "/service/robin/leader", "db1")
	s.GrantRead("batman", batman)
	w.await("the path to be allowed", func() bool { return w.denied[batman] == nil && w.resyncs[backends.ResyncOther] > 0 })
	s.Put(batman+"leader", "db2")
	w.value(batman, batman+"leader", "db2")
}

// TestUserWithoutAuth: a user is configured, but etcd does not ask for one.
func TestUserWithoutAuth(t *testing.T) {
	s := etcdtest.Start(t)
	c := newClient(t, asBatman(s))
	w := watchPaths(t, c, from("", "/")...)
	s.Put("/a", "1")
	w.value("/", "/a", "1")
}

// TestRestartKeepsTheToken: a member that restarts is no reason to log in
// again where the token is still good, and none to read everything.
func TestRestartKeepsTheToken(t *testing.T) {
	s := etcdtest.Start(t, etcdtest.WithAuth(), withJWT(t, "1h"))
	s.AddUser("batman", "secret", batman)
	s.Put(batman+"leader", "db1")
	c := newClient(t, asBatman(s))
	w := watchPaths(t, c, from("", batman)...)
	conn, token := c.conn, c.token.value.Load()
	s.Restart()
	s.Put(batman+"leader", "db2")
	w = w.again(c)
	w.value(batman, batman+"leader", "db2")
	if len(w.resyncs) != 0 {
		t.Errorf("full states: %v, want none", w.resyncs)
	}
	if c.conn != conn || c.token.value.Load() != token {
		t.Error("client or token were made anew")
	}
}
