package e2e

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"pc4patroni/internal/proctest"
)

// pgpool is the sample for Pgpool-II, adopted by a test, and where it then is.
type pgpool struct {
	dir, conf, reloads, restarts string
	port                         int
}

func adoptPgpool(t *testing.T, dir, confdir string) *pgpool {
	t.Helper()
	home := filepath.Join(dir, "pgpool")
	if err := os.Mkdir(home, 0o755); err != nil {
		t.Fatal(err)
	}
	proctest.Owner(t).Give(t, home)
	p := &pgpool{
		dir:      home,
		conf:     filepath.Join(home, "pgpool.conf"),
		reloads:  filepath.Join(dir, "pgpool.reloads"),
		restarts: filepath.Join(dir, "pgpool.restarts"),
		port:     proctest.FreePort(t),
	}
	for _, name := range []string{"pcp.conf", "pool_hba.conf"} {
		proctest.Write(t, "", home, name)
	}
	adopt(t, confdir, "pgpool", edits{
		"/etc/pgpool2/pgpool.conf": p.conf,
		"/var/run/postgresql":      home,
		"listen_addresses = '*'":   "listen_addresses = '127.0.0.1'",
		"\nport = 9999":            fmt.Sprintf("\nport = %d", p.port),
		"pcp_port = 9898":          fmt.Sprintf("pcp_port = %d", proctest.FreePort(t)),
		"num_init_children = 100":  "num_init_children = 4",
		"sr_check_user = 'pgpool'": "sr_check_user = 'postgres'",
		// What systemctl does for Debian's unit. A restart is left to the test.
		"systemctl reload pgpool2":  fmt.Sprintf("echo reload >>%s; kill -HUP $(cat %s/pgpool.pid)", p.reloads, home),
		"systemctl restart pgpool2": "echo restart >>" + p.restarts,
	})
	return p
}

func (p *pgpool) start(t *testing.T) *proctest.Server {
	t.Helper()
	s := proctest.Launch(t, p.dir, fmt.Sprintf("pgpool-%d", count(t, p.restarts)), proctest.Owner(t), nil, "pgpool", "-n",
		"-f", p.conf, "-F", filepath.Join(p.dir, "pcp.conf"), "-a", filepath.Join(p.dir, "pool_hba.conf"))
	s.AwaitPort(t, p.port)
	return s
}

func (p *pgpool) conninfo() string {
	return fmt.Sprintf("host=127.0.0.1 port=%d user=postgres dbname=postgres connect_timeout=3", p.port)
}

// told wants so many reloads and restarts up to now.
func (p *pgpool) told(t *testing.T, reloads, restarts int) {
	t.Helper()
	if got := [2]int{count(t, p.reloads), count(t, p.restarts)}; got != [2]int{reloads, restarts} {
		t.Errorf("%v reloads and restarts of Pgpool-II, want %v", got, [2]int{reloads, restarts})
	}
}

// testPgpoolWeight takes a replica down and up again while a client is connected: its
// weight follows, and the client notices nothing. Another primary is a restart.
func testPgpoolWeight(t *testing.T, c *cluster) {
	proctest.Need(t, "pgpool", "psql")
	dir := proctest.WorkDir(t)
	p := adoptPgpool(t, dir, dir)
	keys := filepath.Join(dir, "keys.json")
	proctest.Apply(t, 0, "-dump", keys, "-prefix", "/service/"+c.scope, "-node", c.etcd.url)
	dump := proctest.Read(t, keys)
	render := func(dump string) {
		t.Helper()
		proctest.Write(t, dump, keys)
		proctest.Apply(t, 0, "-onetime", "-confdir", dir, "-file", keys)
	}
	leader := c.primary(t)
	var replica *node
	for _, n := range c.nodes {
		if n.Name != leader.Name {
			replica = n
		}
	}
	// weight is what Pgpool-II itself says.
	weight := func() string {
		got, err := query(t, p.conninfo(), "show pool_nodes")
		if err != nil {
			return err.Error()
		}
		for line := range strings.Lines(got) {
			if columns := strings.Split(line, "|"); len(columns) > 5 && columns[2] == fmt.Sprint(replica.PG) {
				return columns[5]
			}
		}
		return "none in\n" + got
	}
	becomes := func(what string, right func(string) bool) {
		t.Helper()
		proctest.Eventually(t, 20*time.Second, what, func() error {
			if got := weight(); !right(got) {
				return fmt.Errorf("the weight of %s is %s", replica.Name, got)
			}
			return nil
		})
	}

	render(dump)
	p.told(t, 0, 1)
	running := p.start(t)
	becomes("the replica has a weight", func(w string) bool { return strings.HasPrefix(w, "0.") && w != "0.000000" })
	client := connect(t, p.conninfo())
	client.ask(t, "select 1", "1")

	i := strings.Index(dump, fmt.Sprintf("members/%s\"", replica.Name))
	down := dump[:i] + strings.Replace(dump[i:], `\"state\":\"running\"`, `\"state\":\"stopped\"`, 1)
	if down == dump {
		t.Fatalf("no state of %s to change in\n%s", replica.Name, dump)
	}
	render(down)
	p.told(t, 1, 1)
	becomes("the replica that is down loses its weight", func(w string) bool { return w == "0.000000" })
	render(dump)
	p.told(t, 2, 1)
	client.ask(t, "select 2", "2")

	other := fmt.Sprintf("\"/service/%s/leader\": ", c.scope)
	// A member that goes and comes back, each a restart, is not unused afterwards.
	without := regexp.MustCompile(`(?m)^.*members/`+replica.Name+`".*\n`).ReplaceAllString(dump, "")
	render(without)
	p.told(t, 2, 2)
	running.Stop(t)
	running = p.start(t)
	becomes("the member that went is gone", func(w string) bool { return strings.HasPrefix(w, "none") })
	render(dump)
	p.told(t, 2, 3)
	running.Stop(t)
	p.start(t)
	becomes("the member that came back is used", func(w string) bool { return strings.HasPrefix(w, "0.") })
	if got, err := query(t, p.conninfo(), "show pool_nodes"); err != nil || strings.Contains(got, "unused") {
		t.Errorf("after its return Pgpool-II says (%v)\n%s", err, got)
	}

	render(strings.Replace(dump, other+`"`+leader.Name, other+`"`+replica.Name, 1))
	p.told(t, 2, 4)
	// Pgpool-II does not recover from a node 0 that is a replica, goes down and returns.
	if first := fmt.Sprintf("backend_port0 = %d\n", replica.PG); !strings.Contains(proctest.Read(t, p.conf), first) {
		t.Errorf("the new primary is not node 0:\n%s", proctest.Read(t, p.conf))
	}
}

// client is a session that stays open.
type client struct {
	in  io.WriteCloser
	out *bufio.Scanner
}

func connect(t *testing.T, conninfo string) *client {
	t.Helper()
	cmd := exec.Command(proctest.Program("psql"), "-X", "-Atq", conninfo)
	cmd.Env = append(os.Environ(), "PGPASSWORD="+appPassword)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait() // its status is that of the last statement
	})
	return &client{in, bufio.NewScanner(out)}
}

// ask wants one line as the answer to a statement.
func (c *client) ask(t *testing.T, statement, want string) {
	t.Helper()
	if _, err := io.WriteString(c.in, statement+";\n"); err != nil {
		t.Fatalf("the session has ended: %v", err)
	}
	if !c.out.Scan() {
		t.Fatalf("the session has ended: %v", c.out.Err())
	}
	if c.out.Text() != want {
		t.Errorf("%s: %q, want %q", statement, c.out.Text(), want)
	}
}
