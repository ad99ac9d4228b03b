package etcd

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"

	"pc4patroni/backends"
)

const fakeCluster = 7

// fake is an etcd that does what a test tells it to, among which are things
// that real ones do only in rare moments or in versions that are not at hand.
type fake struct {
	pb.UnimplementedWatchServer
	pb.UnimplementedKVServer
	// serve plays the server's part of one watch stream.
	serve func(*fakeStream) error
	// revision is what Range answers.
	revision int64
}

func (f *fake) Watch(rpc pb.Watch_WatchServer) error {
	return f.serve(&fakeStream{rpc: rpc})
}

func (f *fake) Range(context.Context, *pb.RangeRequest) (*pb.RangeResponse, error) {
	return &pb.RangeResponse{Header: &pb.ResponseHeader{ClusterId: fakeCluster, Revision: f.revision}}, nil
}

// startFake starts the fake and returns a client for it.
func startFake(t *testing.T, f *fake, silence time.Duration) *Client {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	pb.RegisterWatchServer(server, f)
	pb.RegisterKVServer(server, f)
	done := make(chan error)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return newClient(t, Config{Nodes: []string{l.Addr().String()}, Silence: silence})
}

type fakeStream struct {
	rpc    pb.Watch_WatchServer
	nextID int64
	mu     sync.Mutex // of sending
}

func (s *fakeStream) send(resp *pb.WatchResponse, revision int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	resp.Header = &pb.ResponseHeader{ClusterId: fakeCluster, Revision: revision}
	return s.rpc.Send(resp)
}

// create confirms n watchers. A progress request before them is answered if
// hasty is set, as servers before 3.4.25 and 3.5.8 do.
func (s *fakeStream) create(n int, revision int64, hasty bool) error {
	for n > 0 {
		req, err := s.rpc.Recv()
		if err != nil {
			return err
		}
		switch {
		case req.GetProgressRequest() != nil && hasty:
			err = s.progress(revision)
		case req.GetCreateRequest() != nil:
			err = s.send(&pb.WatchResponse{WatchId: s.nextID, Created: true}, revision)
			s.nextID++
			n--
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// put sends the event of one watcher.
func (s *fakeStream) put(watcher, revision int64, key string) error {
	return s.send(&pb.WatchResponse{WatchId: watcher, Events: []*mvccpb.Event{{
		Kv: &mvccpb.KeyValue{Key: []byte(key), Value: []byte("v"), ModRevision: revision},
	}}}, revision)
}

func (s *fakeStream) progress(revision int64) error {
	return s.send(&pb.WatchResponse{WatchId: -1}, revision)
}

// progressRequests waits for n of them.
func (s *fakeStream) progressRequests(n int) error {
	for n > 0 {
		req, err := s.rpc.Recv()
		if err != nil {
			return err
		}
		if req.GetProgressRequest() != nil {
			n--
		}
	}
	return nil
}

// hasty does what script says, and meanwhile and afterwards answers each
// progress request at once, until the client ends the stream.
func (s *fakeStream) hasty(revision int64, script func() error) error {
	answering := make(chan error, 1)
	go func() {
		for {
			req, err := s.rpc.Recv()
			if err == nil && req.GetProgressRequest() != nil {
				err = s.progress(revision)
			}
			if err != nil {
				answering <- err
				return
			}
		}
	}()
	if err := script(); err != nil {
		return err
	}
	return <-answering
}

// idle keeps the stream open until the client ends it.
func (s *fakeStream) idle() error {
	for {
		if _, err := s.rpc.Recv(); err != nil {
			return err
		}
	}
}

// inOrder does one step after the other until one fails.
func inOrder(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

var (
	twoPaths    = []string{"/a/", "/b/"}
	fakeVersion = backends.Version{Store: fakeCluster, Revision: 10}
)

func TestPiecesOfARevision(t *testing.T) {
	both := []backends.Batch{{Revision: 11, Changes: []backends.Change{{Key: "/a/x", Value: "v"}, {Key: "/b/x", Value: "v"}}}}
	for _, tt := range []struct {
		name  string
		serve func(*fakeStream) error
	}{
		{"the answer comes after the pieces", func(s *fakeStream) error {
			return inOrder(
				func() error { return s.create(2, 10, false) },
				func() error { return s.put(0, 11, "/a/x") },
				func() error { return s.progressRequests(1) },
				func() error { return s.put(1, 11, "/b/x") },
				func() error { return s.progress(11) },
				s.idle)
		}},
		{"no answer while a watcher is behind", func(s *fakeStream) error {
			return inOrder(
				func() error { return s.create(2, 10, false) },
				func() error { return s.put(0, 11, "/a/x") },
				func() error { return s.progressRequests(3) },
				func() error { return s.put(1, 11, "/b/x") },
				func() error { return s.progressRequests(1) },
				func() error { return s.progress(12) },
				s.idle)
		}},
		{"pieces in the wrong order", func(s *fakeStream) error {
			return inOrder(
				func() error { return s.create(2, 10, false) },
				func() error { return s.put(1, 11, "/b/x") },
				func() error { return s.put(0, 11, "/a/x") },
				func() error { return s.progressRequests(1) },
				func() error { return s.progress(11) },
				s.idle)
		}},
		{"a hasty answer overtakes a piece", func(s *fakeStream) error {
			return inOrder(
				func() error { return s.create(2, 10, true) },
				func() error { return s.put(0, 11, "/a/x") },
				func() error { return s.progressRequests(1) },
				func() error { return s.progress(11) },
				func() error { return s.progressRequests(1) },
				func() error {
					return s.hasty(11, func() error { return s.put(1, 11, "/b/x") })
				})
		}},
		{"no answer ever", func(s *fakeStream) error {
			return inOrder(
				func() error { return s.create(2, 10, false) },
				func() error { return s.put(0, 11, "/a/x") },
				func() error { return s.put(1, 11, "/b/x") },
				s.idle)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := startFake(t, &fake{serve: tt.serve}, time.Minute)
			f := follow(t, c, fakeVersion, twoPaths...)
			f.revision(11)
			sortChanges := cmp.Transformer("sort", func(changes []backends.Change) map[string]string {
				m := map[string]string{}
				for _, ch := range changes {
					m[ch.Key] = ch.Value
				}
				return m
			})
			if diff := cmp.Diff(both, f.batches, sortChanges); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestNoAnswerCostsASecondOnce: etcd 3.3 answers no progress request at all.
func TestNoAnswerCostsASecondOnce(t *testing.T) {
	next := make(chan bool)
	c := startFake(t, &fake{serve: func(s *fakeStream) error {
		return inOrder(
			func() error { return s.create(2, 10, false) },
			func() error { return s.put(0, 11, "/a/x") },
			func() error { <-next; return s.put(0, 12, "/a/x") },
			s.idle)
	}}, time.Minute)
	f := follow(t, c, fakeVersion, twoPaths...)
	started := time.Now()
	f.revision(11)
	first := time.Since(started)
	started = time.Now()
	next <- true
	f.revision(12)
	if second := time.Since(started); first < proofLimit || second >= first {
		t.Errorf("the first change took %v, the second %v", first, second)
	}
}

func TestFollowIsLostByWhatEtcdSays(t *testing.T) {
	for _, tt := range []struct {
		name string
		say  func(*fakeStream, *following) error
		want string
	}{
		{"a piece that is late", func(s *fakeStream, f *following) error {
			return s.hasty(11, func() error {
				return inOrder(
					func() error { return s.put(0, 11, "/a/x") },
					func() error { f.revision(11); return nil },
					func() error { return s.put(1, 11, "/b/x") })
			})
		}, backends.ReasonOther},
		{"changes for nobody", func(s *fakeStream, _ *following) error { return s.put(5, 11, "/a/x") }, backends.ReasonOther},
		{"another cluster", func(s *fakeStream, _ *following) error {
			return s.rpc.Send(&pb.WatchResponse{WatchId: -1, Header: &pb.ResponseHeader{ClusterId: 8, Revision: 11}})
		}, backends.ReasonReplaced},
		{"a lower revision", func(s *fakeStream, _ *following) error {
			return s.send(&pb.WatchResponse{WatchId: 9, Created: true}, 9)
		}, backends.ReasonReplaced},
		{"compacted", func(s *fakeStream, _ *following) error {
			return s.send(&pb.WatchResponse{WatchId: 0, Canceled: true, CompactRevision: 12}, 12)
		}, backends.ReasonCompacted},
		{"compacted, by its text", func(s *fakeStream, _ *following) error {
			return s.send(&pb.WatchResponse{WatchId: 0, Canceled: true, CancelReason: rpctypes.ErrCompacted.Error()}, 12)
		}, backends.ReasonCompacted},
		{"no leader", func(s *fakeStream, _ *following) error {
			return s.send(&pb.WatchResponse{WatchId: 0, Canceled: true, CancelReason: rpctypes.ErrGRPCNoLeader.Error()}, 12)
		}, backends.ReasonConnection},
		{"not permitted", func(s *fakeStream, _ *following) error {
			return s.send(&pb.WatchResponse{WatchId: 0, Canceled: true, CancelReason: rpctypes.ErrGRPCPermissionDenied.Error()}, 12)
		}, backends.ReasonAuth},
		{"no reason", func(s *fakeStream, _ *following) error {
			return s.send(&pb.WatchResponse{WatchId: 0, Canceled: true}, 12)
		}, backends.ReasonOther},
		{"ping not permitted", func(s *fakeStream, _ *following) error {
			return s.send(&pb.WatchResponse{WatchId: -1, Created: true, Canceled: true, CancelReason: rpctypes.ErrGRPCPermissionDenied.Error()}, 12)
		}, backends.ReasonAuth},
		{"token", func(*fakeStream, *following) error { return rpctypes.ErrGRPCInvalidAuthToken }, backends.ReasonAuth},
		{"stream without a leader", func(*fakeStream, *following) error { return rpctypes.ErrGRPCNoLeader }, backends.ReasonConnection},
	} {
		t.Run(tt.name, func(t *testing.T) {
			established := make(chan *following)
			c := startFake(t, &fake{serve: func(s *fakeStream) error {
				return inOrder(
					func() error { return s.create(2, 10, true) },
					func() error { return tt.say(s, <-established) },
					s.idle)
			}}, time.Minute)
			f := follow(t, c, fakeVersion, twoPaths...)
			established <- f
			if got := f.lost(); got != tt.want {
				t.Errorf("lost for %s, want %s: %v", got, tt.want, f.err)
			}
		})
	}
}

// TestMemberThatLagsBehind: a lower revision alone does not make another store
// of it, if a read says that the others are further on.
func TestMemberThatLagsBehind(t *testing.T) {
	for _, tt := range []struct {
		name   string
		others int64
		lost   bool
	}{
		{"lags behind", 10, false},
		{"was put back", 9, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := startFake(t, &fake{revision: tt.others, serve: func(s *fakeStream) error {
				return inOrder(
					func() error { return s.create(1, 8, false) },
					func() error { return s.put(0, 11, "/a/x") },
					s.idle)
			}}, time.Minute)
			f := startFollow(t, c, fakeVersion, [][]string{{"/a/"}})
			if !tt.lost {
				f.revision(11)
				return
			}
			if got := f.lost(); got != backends.ReasonReplaced {
				t.Errorf("lost for %s, want %s", got, backends.ReasonReplaced)
			}
		})
	}
}

// TestSlowSinkIsNotSilence: while sink is at work nobody listens, which must
// not be taken for etcd's silence.
func TestSlowSinkIsNotSilence(t *testing.T) {
	const silence = 300 * time.Millisecond
	c := startFake(t, &fake{serve: func(s *fakeStream) error {
		return inOrder(
			func() error { return s.create(1, 10, false) },
			func() error { return s.put(0, 11, "/a/x") },
			func() error { return s.put(0, 12, "/a/x") },
			s.idle)
	}}, silence)
	slow := errors.New("got there")
	err := c.Follow(t.Context(), []string{"/a/"}, fakeVersion, func(b backends.Batch) error {
		switch b.Revision {
		case 11:
			time.Sleep(3 * silence) // a sink that takes its time
		case 12:
			return slow
		}
		return nil
	})
	if err != slow {
		t.Errorf("Follow ended with %v", err)
	}
}
