package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pc4patroni/internal/proctest"
)

// A lane is one way to the cluster: a proxy with its daemon, a client that writes and
// one that reads.
type lane struct {
	name          string
	writes, reads *caller
	log           string // of the daemon, in JSON; "" where there is none
}

// lanes are all ways at once, and the members as they are at the moment.
type lanes struct {
	t    *testing.T
	c    *cluster
	dir  string
	all  []*lane
	rows atomic.Int64

	direct []*lane // one for each member, of which only the writer is used
	ports  atomic.Pointer[[]int]

	dead, added *node // of the event that is under way
}

// setPorts says where the members are, to the clients that use no proxy.
func (l *lanes) setPorts(extra ...*node) {
	var ports []int
	for _, n := range append(append([]*node(nil), l.c.nodes...), extra...) {
		ports = append(ports, n.PG)
	}
	l.ports.Store(&ports)
}

func (l *lanes) caller(write bool, dial func(context.Context) (asker, error)) *caller {
	return &caller{dial: dial, write: write, retry: *failoverRetry, rows: &l.rows}
}

// to dials one port.
func to(port int, database string) func(context.Context) (asker, error) {
	return func(ctx context.Context) (asker, error) {
		return dialWire(ctx, fmt.Sprintf("host=127.0.0.1 port=%d user=postgres dbname=%s sslmode=disable", port, database))
	}
}

// toWritable dials one port and goes away again from a server that takes no writes. A
// session through a proxy that cuts none would stay there.
func toWritable(port int, database string) func(context.Context) (asker, error) {
	return to(port, database+" target_session_attrs=read-write")
}

func (l *lanes) add(name, log string, writes, reads func(context.Context) (asker, error)) {
	l.all = append(l.all, &lane{name: name, log: log, writes: l.caller(true, writes), reads: l.caller(false, reads)})
}

// daemon starts the program for a directory and waits until it has written a file.
func (l *lanes) daemon(dir, file string) (log string) {
	l.t.Helper()
	s := proctest.Launch(l.t, dir, "pc4patroni", proctest.Account{}, nil, proctest.Binary(l.t), "-confdir", dir, "-node", l.c.etcd.url, "-log-format", "json")
	proctest.Eventually(l.t, 30*time.Second, "the daemon has written "+filepath.Base(file), func() error {
		if err := s.Running(); err != nil {
			return err
		}
		_, err := os.Stat(file)
		return err
	})
	return s.Log
}

// home is a directory for a lane.
func (l *lanes) home(name string) string {
	l.t.Helper()
	dir := filepath.Join(l.dir, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		l.t.Fatal(err)
	}
	return dir
}

func (l *lanes) addHAProxy() {
	dir := l.home("haproxy")
	h := adoptHAProxy(l.t, dir, dir, nil)
	log := l.daemon(dir, h.cfg)
	h.start(l.t)
	l.add("HAProxy", log, to(h.primary, "app"), to(h.replicas, "app"))
}

// addRuntimeHAProxy adds HAProxy that is told over its runtime socket, or, for comparison,
// one with the same file that is reloaded at each change.
func (l *lanes) addRuntimeHAProxy(reload bool) {
	name, title := "haproxy-runtime", "HAProxy, runtime socket"
	if reload {
		name, title = "haproxy-reload", "HAProxy, the same by reload"
	}
	dir := l.home(name)
	h := adoptRuntimeHAProxy(l.t, dir)
	if reload {
		resource := filepath.Join(dir, "conf.d", "haproxy-runtime.toml")
		text := strings.Replace(proctest.Read(l.t, resource), "test $told = 0 &&", "false &&", 1)
		proctest.Write(l.t, strings.Replace(text, "commands=$(difference) &&", "false &&", 1), resource)
	}
	log := l.daemon(dir, h.cfg)
	h.start(l.t)
	writes := to
	if reload {
		writes = toWritable
	}
	l.add(title, log, writes(h.primary, "app"), to(h.replicas, "app"))
}

// confdHAProxy has the settings of the template for confd that comes with Patroni, and
// of Patroni's documentation: checks every 3 s, three of them, and no state file.
const confdHAProxy = `
global
	maxconn 1000
defaults
	mode tcp
	retries 2
	timeout client 30m
	timeout connect 4s
	timeout server 30m
	timeout check 5s
	default-server inter 3s fall 3 rise 2 on-marked-down shutdown-sessions
{{range $role, $port := dict "primary" PRIMARY "replica" REPLICA}}
listen {{$role}}
	bind 127.0.0.1:{{$port}}
	option httpchk HEAD /{{$role}}
	http-check expect status 200
{{- range members}}
	server {{.Name}} {{.Addr}} maxconn 100 check port {{.APIPort}}
{{- end}}
{{end}}`

// addConfdHAProxy adds HAProxy with those settings: followed by the daemon, or left as
// it is at first.
func (l *lanes) addConfdHAProxy(follow bool) {
	name, title := "haproxy-confd", "HAProxy, confd's settings"
	if !follow {
		name, title = "haproxy-alone", "HAProxy alone"
	}
	dir := l.home(name)
	h := &haproxy{dir: dir, cfg: filepath.Join(dir, "haproxy.cfg"), pid: filepath.Join(dir, "haproxy.pid"), primary: proctest.FreePort(l.t), replicas: proctest.FreePort(l.t)}
	proctest.Write(l.t, strings.NewReplacer("PRIMARY", fmt.Sprint(h.primary), "REPLICA", fmt.Sprint(h.replicas)).Replace(confdHAProxy), dir, "templates", "haproxy.tmpl")
	proctest.Write(l.t, fmt.Sprintf("[template]\nprefix = \"/service/%s\"\nsrc = \"haproxy.tmpl\"\ndest = %q\ncheck_cmd = \"haproxy -c -q -f {{.src}}\"\nreload_cmd = \"if test -s %[3]s; then kill -USR2 $(cat %[3]s); fi\"\n", l.c.scope, h.cfg, h.pid), dir, "conf.d", "haproxy.toml")
	log := ""
	if follow {
		log = l.daemon(dir, h.cfg)
	} else {
		proctest.Apply(l.t, 0, "-onetime", "-confdir", dir, "-node", l.c.etcd.url)
	}
	h.start(l.t)
	l.add(title, log, to(h.primary, "app"), to(h.replicas, "app"))
}

func (l *lanes) addPgBouncer(mode string) {
	dir := l.home("pgbouncer-" + mode)
	more := edits{"auth_type = scram-sha-256": "auth_type = trust"}
	if mode != "session" {
		more["pool_mode = session"] = "pool_mode = " + mode
	}
	p := adoptPgBouncer(l.t, dir, dir, more)
	log := l.daemon(dir, p.ini)
	p.start(l.t)
	l.add("PgBouncer, "+mode, log, to(p.port, "app"), to(p.port, "app_ro"))
}

// confdPgBouncer has the settings of the template for confd that comes with Patroni. That
// has no entry for reads.
const confdPgBouncer = `[databases]
* = host={{primary.Host}} port={{primary.Port}} pool_size=10
[pgbouncer]
logfile = HOME/pgbouncer.log
pidfile = HOME/pgbouncer.pid
listen_addr = 127.0.0.1
listen_port = PORT
unix_socket_dir = HOME
auth_type = trust
auth_file = HOME/userlist.txt
pool_mode = session
max_client_conn = 100
default_pool_size = 20
`

func (l *lanes) addConfdPgBouncer() {
	dir := l.home("pgbouncer-confd")
	home := filepath.Join(dir, "pgbouncer")
	p := &pgbouncer{dir: home, ini: filepath.Join(home, "pgbouncer.ini"), port: proctest.FreePort(l.t)}
	proctest.Write(l.t, "\"postgres\" \"\"\n", home, "userlist.txt")
	proctest.Owner(l.t).Give(l.t, home)
	proctest.Write(l.t, strings.NewReplacer("HOME", home, "PORT", fmt.Sprint(p.port)).Replace(confdPgBouncer), dir, "templates", "pgbouncer.tmpl")
	proctest.Write(l.t, fmt.Sprintf("[template]\nprefix = \"/service/%s\"\nsrc = \"pgbouncer.tmpl\"\ndest = %q\nreload_cmd = \"if test -s %[3]s; then kill -HUP $(cat %[3]s); fi\"\n", l.c.scope, p.ini, filepath.Join(home, "pgbouncer.pid")), dir, "conf.d", "pgbouncer.toml")
	log := l.daemon(dir, p.ini)
	p.start(l.t)
	l.add("PgBouncer, confd's settings", log, to(p.port, "app"), nil)
}

func (l *lanes) addPgpool() {
	dir := l.home("pgpool")
	p := adoptPgpool(l.t, dir, dir)
	// What systemd does for a restart: it stops Pgpool-II, waits for its end and starts it.
	pid := filepath.Join(p.dir, "main.pid")
	resource := filepath.Join(dir, "conf.d", "pgpool.toml")
	record := "echo restart >>" + p.restarts
	restart := fmt.Sprintf("%s; if p=$(cat %[2]s 2>/dev/null); then kill -INT $p; while test \"$p\" = \"$(cat %[2]s)\"; do sleep 0.02; done; fi", record, pid)
	proctest.Write(l.t, strings.Replace(proctest.Read(l.t, resource), record+" &&", restart+"; true &&", 1), resource)
	proctest.Write(l.t, strings.ReplaceAll(proctest.Read(l.t, dir, "templates", "pgpool.conf.tmpl"), "num_init_children = 4", "num_init_children = 8"), dir, "templates", "pgpool.conf.tmpl")
	log := l.daemon(dir, p.conf)
	loop := fmt.Sprintf("while :; do rm -f %s/.s.*; pgpool -n -f %s -F %[1]s/pcp.conf -a %[1]s/pool_hba.conf & echo $! >%[3]s; wait $!; done", p.dir, p.conf, pid)
	s := proctest.Launch(l.t, p.dir, "pgpool", proctest.Owner(l.t), nil, "sh", "-c", loop)
	s.AwaitPort(l.t, p.port)
	l.add("Pgpool-II", log, to(p.port, "app"), to(p.port, "app"))
}

func (l *lanes) addNginx() {
	dir := l.home("nginx")
	writes, reads := proctest.FreePort(l.t), proctest.FreePort(l.t)
	dest, pid := filepath.Join(dir, "stream.d", "batman.conf"), filepath.Join(dir, "nginx.pid")
	adopt(l.t, dir, "nginx", edits{
		"/etc/nginx/stream.d/batman.conf": dest,
		"listen 5000":                     "listen " + proctest.Loopback(writes),
		"listen 5001":                     "listen " + proctest.Loopback(reads),
		`"systemctl reload nginx"`:        fmt.Sprintf("%q", fmt.Sprintf("if test -s %[1]s; then kill -HUP $(cat %[1]s); fi", pid)),
	})
	conf := proctest.Write(l.t, fmt.Sprintf("daemon off;\npid %s;\nerror_log stderr;\ninclude /etc/nginx/modules-enabled/*.conf;\nevents {}\nstream { include %s; }\n", pid, dest), dir, "nginx.conf")
	log := l.daemon(dir, dest)
	proctest.Launch(l.t, dir, "nginx", proctest.Account{}, nil, "nginx", "-c", conf, "-e", "stderr").AwaitPort(l.t, writes)
	l.add("nginx", log, toWritable(writes, "app"), to(reads, "app"))
}

func (l *lanes) addLibpq() {
	dir := l.home("libpq")
	service := filepath.Join(dir, "pg_service.conf")
	adopt(l.t, dir, "libpq-service", edits{"/var/lib/pc4patroni/pg_service.conf": service})
	log := l.daemon(dir, service)
	dial := func(name string) func(context.Context) (asker, error) {
		return func(context.Context) (asker, error) {
			// Not the context of the dialing, with which the session would end.
			s, err := openSession(l.t.Context(), "service="+name+" user=postgres dbname=app", "PGSERVICEFILE="+service)
			if err != nil {
				return nil, err
			}
			return s, nil
		}
	}
	l.add("libpq", log, dial(l.c.scope), dial(l.c.scope+"_ro"))
}

// floor is the client that knows the members itself: it tries to write to each of them
// all the time, and reads from the first replica that answers.
const floor = "straight to the members"

// primaryOnly asks first, so that replicas do not log statements that they refuse.
type primaryOnly struct{ asker }

func (p primaryOnly) ask(statement string) (string, error) {
	if got, err := p.asker.ask("select pg_is_in_recovery()"); err != nil {
		return "", err
	} else if got != "f" {
		return "", errors.New("not the primary")
	}
	return p.asker.ask(statement)
}

func (l *lanes) addDirect() {
	for i := range len(l.c.nodes) {
		one := l.caller(true, func(ctx context.Context) (asker, error) {
			conn, err := to((*l.ports.Load())[i], "app")(ctx)
			if err != nil {
				return nil, err
			}
			return primaryOnly{conn}, nil
		})
		one.retry = 5 * time.Millisecond
		l.direct = append(l.direct, &lane{writes: one})
	}
	l.add(floor, "", nil, func(ctx context.Context) (asker, error) {
		var hosts, ports []string
		for _, port := range *l.ports.Load() {
			hosts, ports = append(hosts, "127.0.0.1"), append(ports, fmt.Sprint(port))
		}
		return dialWire(ctx, fmt.Sprintf("host=%s port=%s user=postgres dbname=app sslmode=disable target_session_attrs=prefer-standby", strings.Join(hosts, ","), strings.Join(ports, ",")))
	})
}

// start has all clients call until the test is over, or stop is called.
func (l *lanes) start() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	for _, one := range append(append([]*lane(nil), l.all...), l.direct...) {
		for _, c := range []*caller{one.writes, one.reads} {
			if c != nil && c.dial != nil {
				group.Go(func() { c.run(ctx) })
			}
		}
	}
	return func() { cancel(); group.Wait() }
}
