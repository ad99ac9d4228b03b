package etcd

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pc4patroni/backends"
	"pc4patroni/backends/etcd/etcdtest"
)

// TestRestrictedRole: the role covers PREFIX/ and nothing else, not even PREFIX.
func TestRestrictedRole(t *testing.T) {
	s := etcdtest.Start(t, etcdtest.WithAuth())
	s.AddUser("batman", "secret", "/service/batman/")
	s.Put("/service/batman", "not for us")
	s.Put("/service/batman/leader", "db1")
	s.Put("/service/batman2/leader", "not for us")
	c := newClient(t, Config{Nodes: []string{s.URL()}, Username: "batman", Password: "secret"})
	for _, paths := range [][]string{
		{"/service/batman/"},
		{"/service/batman"},
		{"/service/batman/leader", "/service/batman/members/"},
		{"/service/batman", "/service/batman/leader"},
	} {
		snap := load(t, c, paths...)
		if len(snap.Values) != 1 || snap.Values["/service/batman/leader"] != "db1" {
			t.Errorf("Load(%q) = %v", paths, snap.Values)
		}
		f := follow(t, c, snap.Version, paths...)
		f.revision(s.Put("/service/batman/leader", "db1"))
		f.cancel()
	}
}

func TestDenied(t *testing.T) {
	s := etcdtest.Start(t, etcdtest.WithAuth())
	s.AddUser("batman", "secret", "/service/batman/")
	for _, tt := range []struct {
		name  string
		cfg   Config
		paths []string
		want  string
	}{
		{"wrong password", Config{Username: "batman", Password: "secretly wrong"}, []string{"/service/batman/"},
			`log in to etcd as user "batman": access denied: wrong user name or password: check username and password`},
		{"unknown user", Config{Username: "joker", Password: "secret"}, []string{"/service/batman/"},
			`log in to etcd as user "joker": access denied`},
		{"no user", Config{}, []string{"/service/batman/"},
			`read "/service/batman/" from etcd without a user: access denied: etcd wants a user: set username and password-file`},
		{"sibling", Config{Username: "batman", Password: "secret"}, []string{"/service/batman2/"},
			`read "/service/batman2/" from etcd as user "batman": access denied: its role needs read permission on it (etcdctl role grant-permission ROLE read --prefix=true /service/batman2/)`},
		{"one of many", Config{Username: "batman", Password: "secret"}, []string{"/service/batman/a", "/service/batman/b/", "/service/x/", "/service/batman/c"},
			`read "/service/x/" from etcd as user "batman": access denied`},
		{"everything", Config{Username: "batman", Password: "secret"}, []string{"/"},
			`read "/" from etcd as user "batman": access denied`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.cfg.Nodes = []string{s.URL()}
			c := newClient(t, tt.cfg)
			_, err := c.Load(t.Context(), tt.paths)
			followErr := c.Follow(t.Context(), tt.paths, backends.Version{Store: 1, Revision: 1}, nil)
			if tt.name != "wrong password" && tt.name != "unknown user" {
				// The store's identity is checked first, so it has to be the right one.
				rc := newClient(t, Config{Nodes: []string{s.URL()}, Username: "root", Password: etcdtest.RootPassword})
				followErr = c.Follow(t.Context(), tt.paths, load(t, rc, "/").Version, nil)
			}
			for _, err := range []error{err, followErr} {
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

// TestTokenExpires leaves the client alone for longer than its token lives.
func TestTokenExpires(t *testing.T) {
	s := etcdtest.Start(t, etcdtest.WithAuth(), etcdtest.WithTokenTTL(time.Second))
	s.AddUser("batman", "secret", "/service/batman/")
	c := newClient(t, Config{Nodes: []string{s.URL()}, Username: "batman", Password: "secret", Silence: time.Minute})
	first := load(t, c, "/service/batman/")
	f := follow(t, c, first.Version, "/service/batman/")

	// The first token is dead when etcd says so to whoever uses it.
	token := c.current.token.get()
	for deadline := time.Now().Add(patience); ; {
		time.Sleep(1500 * time.Millisecond) // each look at a token prolongs its life
		probe := newClient(t, Config{Nodes: []string{s.URL()}})
		probeSession, _, err := probe.acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		probeSession.token.set(token)
		_, err = probe.Load(t.Context(), []string{"/service/batman/"})
		probe.release(probeSession, false)
		if err != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the token does not expire")
		}
	}

	// A watch that is under way goes on.
	f.revision(s.Put("/service/batman/leader", "db1"))
	// A new load, and a new watch before it, get a new token.
	f2 := follow(t, c, first.Version, "/service/batman/")
	f2.revision(s.Put("/service/batman/leader", "db2"))
	if got := load(t, c, "/service/batman/").Values["/service/batman/leader"]; got != "db2" {
		t.Errorf("leader = %q, want db2", got)
	}
	if c.current.token.get() == token {
		t.Error("the old token is still in use")
	}
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
	load(t, c, "/service/batman/")
	// A changed password makes all tokens of the user invalid.
	s.SetPassword("batman", "second")
	if _, err := c.Load(t.Context(), []string{"/service/batman/"}); !errors.Is(err, backends.ErrDenied) {
		t.Errorf("Load with the old password: %v, want ErrDenied", err)
	}
	write("second\r\n")
	load(t, c, "/service/batman/")
}

// TestPermissionIsTakenAway: etcd itself goes on to serve a watch whose user
// lost the permission.
func TestPermissionIsTakenAway(t *testing.T) {
	s := etcdtest.Start(t, etcdtest.WithAuth())
	s.AddUser("batman", "secret", "/service/batman/")
	c := newClient(t, Config{Nodes: []string{s.URL()}, Username: "batman", Password: "secret", Silence: 100 * time.Millisecond})
	f := follow(t, c, load(t, c, "/service/batman/").Version, "/service/batman/")
	s.RevokeRead("batman", "/service/batman/")
	if got := f.lost(); got != backends.ReasonAuth {
		t.Errorf("lost for %s, want %s: %v", got, backends.ReasonAuth, f.err)
	}
	if _, err := c.Load(t.Context(), []string{"/service/batman/"}); !errors.Is(err, backends.ErrDenied) {
		t.Errorf("Load: %v, want ErrDenied", err)
	}
	s.GrantRead("batman", "/service/batman/")
	f = follow(t, c, load(t, c, "/service/batman/").Version, "/service/batman/")
	f.revision(s.Put("/service/batman/leader", "db1"))
}

// TestUserWithoutAuth: a user is configured, but etcd does not ask for one.
func TestUserWithoutAuth(t *testing.T) {
	s := etcdtest.Start(t)
	c := newClient(t, Config{Nodes: []string{s.URL()}, Username: "batman", Password: "secret"})
	f := follow(t, c, load(t, c, "/").Version, "/")
	f.revision(s.Put("/a", "1"))
}
