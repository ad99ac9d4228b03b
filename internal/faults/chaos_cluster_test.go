package faults

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

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
}

type chaosMember struct {
	name         string
	client, peer string // addresses
	holder       int    // process that keeps the namespace
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

func startChaosCluster(t *testing.T) *chaosCluster {
	t.Helper()
	c := &chaosCluster{t: t, dir: proctest.WorkDir(t)}
	run(t, "ip", "link", "set", "lo", "up")
	for _, bridge := range []string{"clients", "peers"} {
		run(t, "ip", "link", "add", bridge, "type", "bridge")
		run(t, "ip", "link", "set", bridge, "up")
	}
	run(t, "ip", "addr", "add", "10.99.0.1/24", "dev", "clients")
	for i := range 3 {
		m := &chaosMember{name: fmt.Sprintf("m%d", i), client: fmt.Sprintf("10.99.0.%d", 11+i), peer: fmt.Sprintf("10.99.1.%d", 11+i)}
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
	return c
}

// port is the end of a member's line that is on the bridge.
func (m *chaosMember) port(bridge string) string { return bridge + "-" + m.name }

func (m *chaosMember) inside(argv ...string) []string {
	return append([]string{"nsenter", "-t", strconv.Itoa(m.holder), "-n"}, argv...)
}

func (m *chaosMember) url() string { return "http://" + net.JoinHostPort(m.client, "2379") }

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
	m.etcd = proctest.Launch(c.t, c.dir, "etcd-"+m.name, proctest.Account{}, nil, m.inside("etcd", "--name", m.name, "--data-dir", c.data(m),
		"--listen-client-urls", m.url(), "--advertise-client-urls", m.url(),
		"--listen-peer-urls", "http://"+m.peer+":2380", "--initial-advertise-peer-urls", "http://"+m.peer+":2380",
		"--initial-cluster", c.initial(), "--initial-cluster-token", fmt.Sprintf("chaos-%d", c.token),
		"--heartbeat-interval", "100", "--election-timeout", "1000", "--unsafe-no-fsync")...)
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
