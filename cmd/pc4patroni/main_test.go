package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"pc4patroni/backends/etcd/etcdtest"
)

func TestMain(m *testing.M) {
	// By its name the test binary is the program itself, for scripts.
	testscript.Main(leakCheck{m}, map[string]func(){"pc4patroni": main, "confd": main})
}

// leakCheck runs the tests and then looks for goroutines that are left.
type leakCheck struct{ *testing.M }

func (c leakCheck) Run() int {
	code := c.M.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

// TestScript runs testdata/script: what a user types, and what comes of it.
// With -update-scripts, expected output is written anew.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(env *testscript.Env) error {
			env.Values[etcdKey{}] = &scriptEtcd{tb: env.T().(testing.TB)}
			// Nothing of this host's is read.
			env.Setenv("PC4PATRONI_CONFIG_FILE", filepath.Join(env.WorkDir, "pc4patroni.toml"))
			if _, err := os.Stat(filepath.Join(env.WorkDir, "pc4patroni.toml")); err == nil {
				return nil
			}
			return os.WriteFile(filepath.Join(env.WorkDir, "pc4patroni.toml"), nil, 0o600)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"apply":  apply,
			"await":  await,
			"etcd":   etcdCommand,
			"exits":  exits,
			"expand": expand,
			"files":  files,
			"lines":  lines,
			"mode":   mode,
		},
	})
}

// etcdKey is where a script's etcd is kept.
type etcdKey struct{}

// scriptEtcd is the etcd of a script: server is nil before it was started.
type scriptEtcd struct {
	tb     testing.TB
	server *etcdtest.Server
}

// exits STATUS COMMAND ARG... runs a command and wants that exit status.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// files DIR NAME... wants exactly these entries in a directory, hidden ones
// included: no staged file, no mark.
func files(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: files DIR NAME...")
	}
	entries, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	var got []string
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	if want := slices.Sorted(slices.Values(args[1:])); !slices.Equal(got, want) {
		ts.Fatalf("%s holds %q, want %q", args[0], got, want)
	}
}

// await FILE [TEXT] waits until a file is there, and holds a text.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: await FILE [TEXT]")
	}
	text := append(args, "")[1]
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		data, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && strings.Contains(string(data), text) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s does not appear: %v", strings.Join(args, " with "), err)
		}
	}
}

// mode OCTAL FILE wants these permissions.
func mode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mode OCTAL FILE")
	}
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[0] {
		ts.Fatalf("mode of %s is %s, want %s", args[1], got, args[0])
	}
}

// etcdCommand gives a script an etcd of its own:
//
//	etcd start [tls] [expired] [auth]   sets $ETCD, and $CA, $CERT, $KEY with tls
//	etcd user NAME PASSWORD PREFIX...   adds a user who may read these prefixes
//	etcd put KEY VALUE
//	etcd del KEY
//	etcd stop
func etcdCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: etcd start|user|put|del|stop ARG...")
	}
	e := ts.Value(etcdKey{}).(*scriptEtcd)
	if args[0] != "start" && e.server == nil {
		ts.Fatalf("etcd was not started")
	}
	switch {
	case args[0] == "start":
		e.start(ts, args[1:])
	case args[0] == "user" && len(args) > 2:
		e.server.AddUser(args[1], args[2], args[3:]...)
	case args[0] == "put" && len(args) == 3:
		e.server.Put(args[1], args[2])
	case args[0] == "del" && len(args) == 2:
		e.server.Delete(args[1])
	case args[0] == "stop" && len(args) == 1:
		e.server.Stop()
	default:
		ts.Fatalf("etcd %s: wrong arguments", strings.Join(args, " "))
	}
}

func (e *scriptEtcd) start(ts *testscript.TestScript, with []string) {
	var opts []etcdtest.Option
	if slices.Contains(with, "auth") {
		opts = append(opts, etcdtest.WithAuth())
	}
	if slices.Contains(with, "tls") {
		authority := etcdtest.NewAuthority(e.tb)
		var ours []etcdtest.CertOption
		if slices.Contains(with, "expired") {
			ours = append(ours, etcdtest.Expired())
		}
		pair := authority.Issue("pc4patroni", ours...)
		ts.Setenv("CA", authority.CertFile)
		ts.Setenv("CERT", pair.Cert)
		ts.Setenv("KEY", pair.Key)
		opts = append(opts, etcdtest.WithTLS(authority), etcdtest.WithClientCerts())
	}
	e.server = etcdtest.Start(e.tb, opts...)
	ts.Setenv("ETCD", e.server.URL())
}
