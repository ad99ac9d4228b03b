package etcdtest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// WithProgram runs the etcd program at path in place of the embedded server,
// which is of one version only. Stop kills it as a crash would. It is for
// single servers; WithConfig has no effect on it.
func WithProgram(path string) Option { return func(s *settings) { s.program = path } }

// program is an etcd program that runs.
type program struct {
	cmd    *exec.Cmd
	exited chan struct{}
}

// startProgram starts the program and waits until it serves.
func (s *Server) startProgram() {
	s.t.Helper()
	cfg := s.config()
	args := []string{
		"--name", cfg.Name, "--data-dir", cfg.Dir,
		"--listen-client-urls", s.client.String(), "--advertise-client-urls", s.client.String(),
		"--listen-peer-urls", s.peer.String(), "--initial-advertise-peer-urls", s.peer.String(),
		"--initial-cluster", cfg.Name + "=" + s.peer.String(),
		"--initial-cluster-token", cfg.InitialClusterToken,
		"--heartbeat-interval", strconv.Itoa(int(cfg.TickMs)), "--election-timeout", strconv.Itoa(int(cfg.ElectionMs)),
		"--bcrypt-cost", strconv.Itoa(int(cfg.BcryptCost)), "--auth-token-ttl", strconv.Itoa(int(cfg.AuthTokenTTL)),
	}
	if s.set.authority != nil {
		args = append(args, "--cert-file", cfg.ClientTLSInfo.CertFile, "--key-file", cfg.ClientTLSInfo.KeyFile)
	}
	if s.set.clientCerts {
		args = append(args, "--client-cert-auth", "--trusted-ca-file", cfg.ClientTLSInfo.TrustedCAFile)
	}
	log, err := os.Create(filepath.Join(s.t.TempDir(), "etcd.log"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(s.set.program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	// An ETCD_ variable of the tester's own would beat none of the flags but
	// add others.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.t.TempDir()}
	if err := cmd.Start(); err != nil {
		s.t.Fatalf("start %s: %v", s.set.program, err)
	}
	s.program = &program{cmd: cmd, exited: make(chan struct{})}
	go func(p *program) {
		defer close(p.exited)
		_ = p.cmd.Wait() // killed, or the log says why it ended
	}(s.program)
	s.awaitProgram(log.Name())
}

// awaitProgram waits until the program answers, whatever it answers.
func (s *Server) awaitProgram(log string) {
	s.t.Helper()
	cfg := clientv3.Config{Endpoints: []string{s.URL()}, Logger: zap.NewNop()}
	if a := s.set.authority; a != nil {
		cfg.TLS = a.ClientConfig()
	}
	c, err := clientv3.New(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	go func(exited <-chan struct{}) {
		select {
		case <-exited:
			cancel()
		case <-ctx.Done():
		}
	}(s.program.exited)
	for ctx.Err() == nil {
		once, stop := context.WithTimeout(ctx, time.Second)
		_, err := c.Status(once, s.URL())
		stop()
		if err == nil {
			return
		}
	}
	text, _ := os.ReadFile(log)
	s.t.Fatalf("%s does not serve:\n%s", s.set.program, text)
}

func (p *program) stop() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.exited
}
