package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"text/template"
	"time"

	"pc4patroni/internal/proctest"
)

// The database user of the tests, as PgBouncer and psql know it.
const (
	appUser     = "app"
	appPassword = "correct horse"
)

// cluster is a running Patroni cluster of three nodes and its etcd.
type cluster struct {
	dir   string
	scope string
	etcd  *etcd
	nodes []*node
}

type node struct {
	*proctest.Server
	Name         string
	PG, REST     int // ports
	config, data string
}

// patroniConfig is one node's file. The intervals are the shortest that Patroni
// takes, and PostgreSQL does without what only a power cut would miss.
var patroniConfig = template.Must(template.New("patroni").Parse(`
scope: {{.Scope}}
name: {{.Node.Name}}
restapi:
  listen: 127.0.0.1:{{.Node.REST}}
  connect_address: 127.0.0.1:{{.Node.REST}}
etcd3:
  hosts: ["127.0.0.1:{{.Etcd}}"]
bootstrap:
  dcs:
    ttl: 20
    loop_wait: 1
    retry_timeout: 5
    postgresql:
      use_pg_rewind: true
  initdb: [{encoding: UTF8}, {locale: C}, no-sync]
postgresql:
  listen: 127.0.0.1:{{.Node.PG}}
  connect_address: 127.0.0.1:{{.Node.PG}}
  data_dir: {{.Data}}
  bin_dir: {{.Bin}}
  pgpass: {{.Data}}.pgpass
  authentication:
    superuser: {username: postgres, password: super}
    replication: {username: standby, password: standby}
    rewind: {username: rewind, password: rewind}
  parameters:
    unix_socket_directories: ""
    shared_buffers: 16MB
    fsync: "off"
    password_encryption: scram-sha-256
    wal_keep_size: 256MB
  pg_hba:
  - host all postgres 127.0.0.1/32 trust
  - host all all 127.0.0.1/32 scram-sha-256
  - host replication standby 127.0.0.1/32 scram-sha-256
`))

// startPatroni brings up the cluster /service/SCOPE: a primary, two streaming
// replicas, the database user of the tests and a database app of theirs.
func startPatroni(t *testing.T, scope string) *cluster {
	t.Helper()
	proctest.Need(t, "etcd", "patroni", "patronictl", "pg_controldata", "psql")
	c := &cluster{dir: proctest.WorkDir(t), scope: scope}
	c.etcd = startEtcd(t, c.dir, nil)
	for _, name := range []string{"pg1", "pg2", "pg3"} {
		c.nodes = append(c.nodes, c.startNode(t, name, ""))
	}
	c.awaitHealthy(t)
	p := c.primary(t)
	c.sql(t, p.PG, fmt.Sprintf("create role %s login password '%s'", appUser, appPassword))
	c.sql(t, p.PG, "create database app owner app")
	return c
}

// startNode starts Patroni with its PostgreSQL under a name, with further lines in its
// configuration. It is not yet one of c.nodes.
func (c *cluster) startNode(t *testing.T, name, more string) *node {
	t.Helper()
	who := proctest.Owner(t)
	home := filepath.Join(c.dir, name)
	if err := os.Mkdir(home, 0o755); err != nil {
		t.Fatal(err)
	}
	who.Give(t, home)
	n := &node{Name: name, PG: proctest.FreePort(t), REST: proctest.FreePort(t), data: filepath.Join(home, "data")}
	var config bytes.Buffer
	if err := patroniConfig.Execute(&config, map[string]any{
		"Scope": c.scope, "Node": n, "Etcd": c.etcd.port, "Data": n.data, "Bin": filepath.Dir(proctest.Program("pg_controldata")),
	}); err != nil {
		t.Fatal(err)
	}
	n.config = proctest.Write(t, config.String()+more, home, "patroni.yml")
	// Patroni puts PostgreSQL into a session of its own, where a signal to
	// Patroni's group does not reach it. It goes after Patroni has gone.
	forget := proctest.Undertaker.Watch(t, "kill -QUIT $(head -n 1 "+n.data+"/postmaster.pid)")
	t.Cleanup(func() {
		stopPostgres(t, n.data)
		forget()
		if t.Failed() {
			logs, _ := filepath.Glob(filepath.Join(n.data, "log", "*"))
			for _, path := range logs {
				t.Logf("%s printed:\n%s", path, proctest.Tail(path, 40))
			}
		}
	})
	n.Server = proctest.Launch(t, home, "patroni-"+name, who, nil, "patroni", n.config)
	// At the end there is nothing to hand over, and asking nicely takes seconds.
	n.StopWith = []syscall.Signal{syscall.SIGKILL}
	return n
}

// stopPostgres ends a PostgreSQL whose Patroni is gone, at once: its data will not
// be looked at again.
func stopPostgres(t *testing.T, data string) {
	content, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return // It has stopped, or never started.
	}
	first, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Errorf("stop PostgreSQL: %v", err)
		return
	}
	for _, sig := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGKILL} {
		_ = syscall.Kill(pid, sig)
		// It is no child of this process, so nothing tells when it ends.
		for range 100 {
			if gone(pid) {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	t.Errorf("PostgreSQL %d cannot be stopped", pid)
}

// gone tells whether a process that is no child of this one has ended. A zombie has:
// whether it is ever reaped is up to the container that this runs in.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(after, "Z")
}

// rest asks a node's REST API and returns the status code.
func (n *node) rest(t *testing.T, path string) (int, error) {
	client := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + proctest.Loopback(n.REST) + path)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// Patroni before 4.0 calls the primary master.
var (
	primaryRole    = regexp.MustCompile(`"role":"(master|primary)"`)
	runningReplica = regexp.MustCompile(`"state":"running","role":"replica"`)
	replicaRole    = regexp.MustCompile(`"role":"replica"`)
)

// awaitHealthy waits for one writable primary and replicas that stream from it.
func (c *cluster) awaitHealthy(t *testing.T) {
	t.Helper()
	proctest.Eventually(t, 2*time.Minute, "Patroni has a primary and two replicas", func() error {
		primaries, replicas := 0, 0
		for _, n := range c.nodes {
			if err := n.Running(); err != nil {
				return err
			}
			if code, err := n.rest(t, "/primary"); err != nil {
				return err
			} else if code == http.StatusOK {
				primaries++
			}
			if code, err := n.rest(t, "/replica"); err != nil {
				return err
			} else if code == http.StatusOK {
				replicas++
			}
		}
		if primaries != 1 || replicas != len(c.nodes)-1 {
			return fmt.Errorf("%d primaries and %d replicas", primaries, replicas)
		}
		p := c.primary(t)
		got, err := query(t, superuser(p.PG), "select pg_is_in_recovery(), count(*) from pg_stat_replication where state = 'streaming'")
		if err != nil {
			return err
		}
		if want := fmt.Sprintf("f|%d", len(c.nodes)-1); got != want {
			return fmt.Errorf("the primary's recovery and replicas are %q, want %q", got, want)
		}
		// What Patroni says of its members in etcd is up to a cycle behind.
		for _, n := range c.nodes {
			role := replicaRole
			if n == p {
				role = primaryRole
			}
			value := c.key(t, "members/"+n.Name)
			if !role.MatchString(value) || !strings.Contains(value, `"state":"running"`) {
				return fmt.Errorf("%s is not yet in etcd as running and %s: %s", n.Name, role, value)
			}
		}
		return nil
	})
}

// key reads one of the cluster's keys from etcd, "" where there is none.
func (c *cluster) key(t *testing.T, name string) string {
	t.Helper()
	got := proctest.Invoke(t, []string{"ETCDCTL_API=3"}, proctest.Program("etcdctl"), "--endpoints", c.etcd.url,
		"get", "--print-value-only", "/service/"+c.scope+"/"+name)
	if got.Code != 0 {
		t.Fatalf("etcdctl get: %s", got.Stderr)
	}
	return strings.TrimSpace(got.Stdout)
}

// etcdctl changes a key that is not Patroni's.
func (c *cluster) etcdctl(t *testing.T, args ...string) {
	t.Helper()
	got := proctest.Invoke(t, []string{"ETCDCTL_API=3"}, append([]string{proctest.Program("etcdctl"), "--endpoints", c.etcd.url}, args...)...)
	if got.Code != 0 {
		t.Fatalf("etcdctl %s: %s", strings.Join(args, " "), got.Stderr)
	}
}

// primary is the node that holds the lock.
func (c *cluster) primary(t *testing.T) *node {
	t.Helper()
	leader := c.key(t, "leader")
	for _, n := range c.nodes {
		if n.Name == leader {
			return n
		}
	}
	t.Fatalf("the leader is %q, and no node is called that", leader)
	return nil
}

// switchover hands the lead to another node and returns it once the cluster is
// healthy again.
func (c *cluster) switchover(t *testing.T) *node {
	t.Helper()
	old := c.primary(t)
	candidate := c.nodes[0]
	if candidate == old {
		candidate = c.nodes[1]
	}
	got := proctest.Invoke(t, []string{"HOME=" + c.dir}, proctest.Program("patronictl"), "-c", old.config,
		"switchover", "--leader", old.Name, "--candidate", candidate.Name, "--force")
	if got.Code != 0 {
		t.Fatalf("patronictl switchover: exit status %d\n%s%s", got.Code, got.Stdout, got.Stderr)
	}
	c.awaitHealthy(t)
	if now := c.primary(t); now != candidate {
		t.Fatalf("after the switchover %s leads, want %s", now.Name, candidate.Name)
	}
	return candidate
}

// setConfig changes the dynamic configuration, by Patroni's REST API.
func (c *cluster) setConfig(t *testing.T, patch string) {
	t.Helper()
	// Also called at the end of a test, when its context is done already.
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPatch,
		"http://"+proctest.Loopback(c.nodes[0].REST)+"/config", strings.NewReader(patch))
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("patch Patroni's configuration: %s", resp.Status)
	}
}

// crash ends a node at once, as a power cut would: Patroni first, lest it restart
// PostgreSQL, and neither says goodbye to etcd.
func (n *node) crash(t *testing.T) {
	t.Helper()
	n.Stop(t)
	stopPostgres(t, n.data)
}

// sql runs a statement as the superuser.
func (c *cluster) sql(t *testing.T, port int, statement string) {
	t.Helper()
	if _, err := query(t, superuser(port), statement); err != nil {
		t.Fatal(err)
	}
}

func superuser(port int) string {
	return fmt.Sprintf("host=127.0.0.1 port=%d user=postgres dbname=postgres connect_timeout=3", port)
}

// as is the connection string of the tests' database user.
func as(port int, database string) string {
	return fmt.Sprintf("host=127.0.0.1 port=%d user=%s dbname=%s connect_timeout=3", port, appUser, database)
}

// query returns psql's answer, columns separated by "|".
func query(t *testing.T, conninfo, statement string, env ...string) (string, error) {
	t.Helper()
	got := proctest.Invoke(t, append(env, "PGPASSWORD="+appPassword, "HOME=/nonexistent"),
		proctest.Program("psql"), "-XAtq", "-d", conninfo, "-c", statement)
	if got.Code != 0 {
		return "", fmt.Errorf("psql: %s", strings.TrimSpace(got.Stderr))
	}
	return strings.TrimSpace(got.Stdout), nil
}

// whereami asks whoever answers whether it is a replica, and for its own port.
const whereami = "select pg_is_in_recovery(), inet_server_port()"

// answers is the condition that the connection leads to the node, as a primary.
func (n *node) answers(t *testing.T, conninfo string, env ...string) error {
	t.Helper()
	got, err := query(t, conninfo, whereami, env...)
	if err != nil {
		return err
	}
	if want := fmt.Sprintf("f|%d", n.PG); got != want {
		return fmt.Errorf("%q answered, want %q", got, want)
	}
	return nil
}
