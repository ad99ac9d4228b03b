package etcdtest

import (
	"context"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// enableAuth makes the user root and turns authentication on.
func (s *Server) enableAuth() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	// Before authentication is on nobody can log in, afterwards everybody must.
	c := s.dial("", "")
	defer c.Close()
	if _, err := c.UserAdd(ctx, "root", RootPassword); err != nil {
		s.t.Fatalf("add user root: %v", err)
	}
	if _, err := c.UserGrantRole(ctx, "root", "root"); err != nil {
		s.t.Fatalf("grant role root: %v", err)
	}
	if _, err := c.AuthEnable(ctx); err != nil {
		s.t.Fatalf("enable authentication: %v", err)
	}
}

// AddUser makes a user whose role of the same name may read and write what
// lies below each prefix, and nothing else. A prefix is taken as it is:
// "/service/batman/" covers neither "/service/batman" nor "/service/batman2/a".
func (s *Server) AddUser(name, password string, prefixes ...string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := s.Client()
	if _, err := c.RoleAdd(ctx, name); err != nil {
		s.t.Fatalf("add role %s: %v", name, err)
	}
	for _, prefix := range prefixes {
		s.GrantRead(name, prefix)
	}
	if _, err := c.UserAdd(ctx, name, password); err != nil {
		s.t.Fatalf("add user %s: %v", name, err)
	}
	if _, err := c.UserGrantRole(ctx, name, name); err != nil {
		s.t.Fatalf("grant role %s: %v", name, err)
	}
}

// GrantRead lets role read and write below prefix.
func (s *Server) GrantRead(role, prefix string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := s.Client().RoleGrantPermission(ctx, role, prefix, clientv3.GetPrefixRangeEnd(prefix),
		clientv3.PermissionType(clientv3.PermReadWrite))
	if err != nil {
		s.t.Fatalf("grant %s to role %s: %v", prefix, role, err)
	}
}

// RevokeRead takes back what GrantRead gave.
func (s *Server) RevokeRead(role, prefix string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := s.Client().RoleRevokePermission(ctx, role, prefix, clientv3.GetPrefixRangeEnd(prefix))
	if err != nil {
		s.t.Fatalf("revoke %s from role %s: %v", prefix, role, err)
	}
}

// SetPassword changes the password of a user.
func (s *Server) SetPassword(name, password string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := s.Client().UserChangePassword(ctx, name, password); err != nil {
		s.t.Fatalf("change password of %s: %v", name, err)
	}
}
