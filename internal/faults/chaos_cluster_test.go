package faults

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"pc4patroni/backends/etcd/etcdtest"
	"pc4patroni/internal/proctest"
)

// chaosCluster is three etcd programs, each in a network namespace of its own with two
// interfaces: one to the other members, one to the clients. Bridges connect them, in the
// namespace of the test, so that taking a port of a bridge down cuts a line without a word.
type chaosCluster struct {
	t       *testing.T
	dir     string
	members []*chaosMember
	token   int // of the cluster: one more after each restore

	authority *etcdtest.Authority // nil: without TLS, and everybody may do everything
	tls       *tls.Config         // of the test's own connections
	protected bool                // who has no password may do nothing
}

type chaosMember struct {
	name         string
	client, peer string // addresses
	scheme       string
	pair         etcdtest.Pair
	holder       int // process that keeps the namespace
	etcd         *proctest.Server
}

// inNamespaces runs the test again as a process in a network namespace of its own, if
// it is not there yet, and tells whether this one is that process.
func inNamespaces(t *testing.T) bool {
	t.Helper()
	if os.Getenv("PC4PATRONI_TEST_NAMESPACE") != "" {
		return true
	}
	proctest.NeedRoot(t, "network namespaces")
	proctest.Need(t, "unshare", "nsenter", "ip", "etcd", "etcdctl")
	if out, err := exec.Command("unshare", "--net", "ip", "link", "add", "type", "bridge").CombinedOutput(); err != nil {
		proctest.Lack(t, fmt.Sprintf("a network namespace with a bridge is not permitted here (%v: %s)", err, out))
	}
	// With the same flags, among them those of go test.
	args := append([]string{"--net", "--kill-child", os.Args[0]}, os.Args[1:]...)
	args = append(args, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd := exec.Command("unshare", args...)
	cmd.Env = append(os.Environ(), "PC4PATRONI_TEST_NAMESPACE=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		t.Errorf("in its network namespace: %v", err)
	}
	return false
}

func run(t *testing.T, argv ...string) {
	t.Helper()
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(argv, " "), err, out)
	}
}

func startChaosCluster(t *testing.T, secure bool) *chaosCluster {
	t.Helper()
	c := &chaosCluster{t: t, dir: proctest.WorkDir(t)}
	if secure {
		c.authority = etcdtest.NewAuthority(t)
		c.tls = c.authority.ClientConfig()
	}
	run(t, "ip", "link", "set", "lo", "up")
	for _, bridge := range []string{"clients", "peers"} {
		run(t, "ip", "link", "add", bridge, "type", "bridge")
		run(t, "ip", "link", "set", bridge, "up")
	}
	run(t, "ip", "addr", "add", "10.99.0.1/24", "dev", "clients")
	for i := range 3 {
		m := &chaosMember{name: fmt.Sprintf("m%d", i), scheme: "http", client: fmt.Sprintf("10.99.0.%d", 11+i), peer: fmt.Sprintf("10.99.1.%d", 11+i)}
		if secure {
			m.scheme, m.pair = "https", c.authority.Issue(m.name, etcdtest.ForAddress(m.client))
		}
		holder := exec.Command("unshare", "--net", "sleep", "infinity")
		holder.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := holder.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = holder.Process.Kill(); _ = holder.Wait() })
		m.holder = holder.Process.Pid
		proctest.Eventually(t, proctest.LongEnough, "the namespace of "+m.name, func() error {
			own, _ := os.Readlink("/proc/self/ns/net")
			if its, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", m.holder)); err != nil || its == own {
				return fmt.Errorf("it is %q, %v", its, err)
			}
			return nil
		})
		for bridge, address := range map[string]string{"clients": m.client, "peers": m.peer} {
			run(t, "ip", "link", "add", m.port(bridge), "type", "veth", "peer", "name", bridge, "netns", strconv.Itoa(m.holder))
			run(t, "ip", "link", "set", m.port(bridge), "master", bridge, "up")
			run(t, m.inside("ip", "addr", "add", address+"/24", "dev", bridge)...)
			run(t, m.inside("ip", "link", "set", bridge, "up")...)
		}
		run(t, m.inside("ip", "link", "set", "lo", "up")...)
		c.members = append(c.members, m)
	}
	for _, m := range c.members {
		c.start(m)
	}
	c.awaitServing()
	if secure {
		c.protect()
	}
	return c
}

const (
	chaosUser     = "proxy"
	chaosPassword = "proxy-secret"
)

// protect makes the users, and lets in nobody else.
func (c *chaosCluster) protect() {
	for _, args := range [][]string{
		{"user", "add", "root:" + etcdtest.RootPassword}, {"user", "grant-role", "root", "root"},
		{"role", "add", chaosUser}, {"role", "grant-permission", chaosUser, "read", "--prefix=true", "/service/"},
		{"user", "add", chaosUser + ":" + chaosPassword}, {"user", "grant-role", chaosUser, chaosUser},
		{"auth", "enable"},
	} {
		if out, err := c.ctl(10*time.Second, append([]string{"--endpoints", c.members[0].url()}, args...)...); err != nil {
			c.t.Fatalf("etcdctl %v: %v: %s", args, err, out)
		}
	}
	c.protected = true
}

// dial is a connection of the test's own.
func (c *chaosCluster) dial() (*clientv3.Client, error) {
	cfg := clientv3.Config{Endpoints: c.urls(), DialTimeout: 5 * time.Second, Logger: zap.NewNop()}
	if c.protected {
		cfg.TLS, cfg.Username, cfg.Password = c.tls, "root", etcdtest.RootPassword
	}
	return clientv3.New(cfg)
}

// flags are those with which the program reads from the cluster.
func (c *chaosCluster) flags() []string {
	if !c.protected {
		return nil
	}
	return []string{"-client-ca-keys", c.authority.CertFile, "-username", chaosUser, "-password-file", proctest.Write(c.t, chaosPassword+"\n", c.dir, "password")}
}

// port is the end of a member's line that is on the bridge.
func (m *chaosMember) port(bridge string) string { return bridge + "-" + m.name }

func (m *chaosMember) inside(argv ...string) []string {
	return append([]string{"nsenter", "-t", strconv.Itoa(m.holder), "-n"}, argv...)
}

func (m *chaosMember) url() string { return m.scheme + "://" + net.JoinHostPort(m.client, "2379") }

func (c *chaosCluster) urls() []string {
	var urls []string
	for _, m := range c.members {
		urls = append(urls, m.url())
	}
	return urls
}

func (c *chaosCluster) initial() string {
	var all []string
	for _, m := range c.members {
		all = append(all, m.name+"=http://"+m.peer+":2380")
	}
	return strings.Join(all, ",")
}

func (c *chaosCluster) data(m *chaosMember) string {
	return filepath.Join(c.dir, fmt.Sprintf("%s-%d", m.name, c.token))
}

func (c *chaosCluster) start(m *chaosMember) {
	argv := m.inside("etcd", "--name", m.name, "--data-dir", c.data(m),
		"--listen-client-urls", m.url(), "--advertise-client-urls", m.url(),
		"--listen-peer-urls", "http://"+m.peer+":2380", "--initial-advertise-peer-urls", "http://"+m.peer+":2380",
		"--initial-cluster", c.initial(), "--initial-cluster-token", fmt.Sprintf("chaos-%d", c.token),
		"--heartbeat-interval", "100", "--election-timeout", "1000", "--unsafe-no-fsync")
	if c.authority != nil {
		argv = append(argv, "--cert-file", m.pair.Cert, "--key-file", m.pair.Key)
	}
	m.etcd = proctest.Launch(c.t, c.dir, "etcd-"+m.name, proctest.Account{}, nil, argv...)
}

func (c *chaosCluster) kill(m *chaosMember) {
	_ = syscall.Kill(-m.etcd.Cmd.Process.Pid, syscall.SIGKILL)
	<-m.etcd.Done
}

func (c *chaosCluster) signal(m *chaosMember, sig syscall.Signal) {
	_ = syscall.Kill(-m.etcd.Cmd.Process.Pid, sig)
}

// line cuts or mends the line of a member to the clients or to its peers.
func (c *chaosCluster) line(m *chaosMember, bridge, state string) {
	run(c.t, "ip", "link", "set", m.port(bridge), state)
}

func (c *chaosCluster) ctl(timeout time.Duration, args ...string) ([]byte, error) {
	cmd := exec.Command("timeout", append([]string{fmt.Sprint(timeout.Seconds()), "etcdctl", "--command-timeout", timeout.String()}, args...)...)
	cmd.Env = append(os.Environ(), "ETCDCTL_API=3")
	if c.authority != nil {
		cmd.Env = append(cmd.Env, "ETCDCTL_CACERT="+c.authority.CertFile)
	}
	if c.protected && !slices.Contains(args, "restore") {
		cmd.Env = append(cmd.Env, "ETCDCTL_USER=root:"+etcdtest.RootPassword)
	}
	return cmd.CombinedOutput()
}

func (c *chaosCluster) awaitServing() {
	c.t.Helper()
	proctest.Eventually(c.t, 90*time.Second, "all members serve", func() error {
		for _, m := range c.members {
			if out, err := c.ctl(3*time.Second, "--endpoints", m.url(), "get", "/"); err != nil {
				return fmt.Errorf("%s: %v: %s", m.name, err, out)
			}
		}
		return nil
	})
}

// snapshot saves a backup, if the member answers.
func (c *chaosCluster) snapshot(m *chaosMember) bool {
	path := filepath.Join(c.dir, "backup")
	if _, err := c.ctl(10*time.Second, "--endpoints", m.url(), "snapshot", "save", path+".new"); err != nil {
		return false
	}
	return os.Rename(path+".new", path) == nil
}

// restore stops all members and starts a new cluster from the backup.
func (c *chaosCluster) restore() {
	c.t.Helper()
	for _, m := range c.members {
		c.kill(m)
		if err := os.RemoveAll(c.data(m)); err != nil {
			c.t.Fatal(err)
		}
	}
	c.token++
	for _, m := range c.members {
		out, err := c.ctl(30*time.Second, "snapshot", "restore", filepath.Join(c.dir, "backup"), "--name", m.name, "--data-dir", c.data(m),
			"--initial-cluster", c.initial(), "--initial-cluster-token", fmt.Sprintf("chaos-%d", c.token),
			"--initial-advertise-peer-urls", "http://"+m.peer+":2380")
		if err != nil {
			c.t.Fatalf("restore: %v: %s", err, out)
		}
	}
	for _, m := range c.members {
		c.start(m)
	}
}
