// Command kv is a key-value store over a unix socket, a daemon and its client, and shows what both
// of them need of ttrpc. The example's README.md has its commands.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/containerd/ttrpc/example/kv/kvpb"
)

//go:generate go run github.com/containerd/ttrpc/tools/generate -I github.com/containerd/ttrpc/example/kv=. -as github.com/containerd/ttrpc/example/kv -plugin go:google.golang.org/protobuf/cmd/protoc-gen-go -plugin go:github.com/containerd/ttrpc/cmd/protoc-gen-go-ttrpc github.com/containerd/ttrpc/example/kv/kvpb/kv.proto

var errUsage = errors.New("usage: kv [flags] serve | get KEY | put KEY=VALUE | load KEY=VALUE... | ask KEY... | watch PREFIX")

func main() {
	socket := flag.String("socket", os.TempDir()+"/kv.sock", "the daemon's `path`")
	timeout := flag.Duration("timeout", 5*time.Second, "of a call; a watch has none")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *socket, *timeout, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "kv:", err, ttrpc.StatusOf(err).Details())
		os.Exit(1)
	}
}

func run(ctx context.Context, socket string, timeout time.Duration, args []string) error {
	if len(args) == 1 && args[0] == "serve" {
		return serve(ctx, socket)
	}
	if len(args) < 2 {
		return errUsage
	}
	client, err := ttrpc.Dial(ctx, "unix:"+socket, ttrpc.WithWaitForReady(),
		ttrpc.WithBackoff(ttrpc.Backoff{Base: 50 * time.Millisecond, Max: time.Second}))
	if err != nil {
		return err
	}
	defer client.Close()
	store := kvpb.NewStoreClient(client)
	if args[0] == "watch" {
		return watch(ctx, store, args[1])
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	switch args[0] {
	case "get":
		return show(store.Get(ctx, &kvpb.GetRequest{Key: args[1]}))
	case "put":
		return put(ctx, store, item(args[1]))
	case "load":
		return load(ctx, store, args[1:])
	case "ask":
		return ask(ctx, store, args[1:])
	}
	return errUsage
}

func item(arg string) *kvpb.Item {
	key, value, _ := strings.Cut(arg, "=")
	return &kvpb.Item{Key: key, Value: []byte(value)}
}

func show(item *kvpb.Item, err error) error {
	if err == nil {
		fmt.Printf("%s=%s\n", item.Key, item.Value)
	}
	return err
}

// put repeats what a restart has cut off, since a put may run twice. What may not is repeated only
// where ttrpc.NotSent(err) holds, and the client of Dial does that by itself.
func put(ctx context.Context, store kvpb.StoreClient, item *kvpb.Item) error {
	for {
		reply, err := store.Put(ctx, item)
		if ttrpc.StatusOf(err).Code() != codes.Unavailable {
			return show(reply, err)
		}
	}
}

// watch survives restarts of the daemon: it begins again.
func watch(ctx context.Context, store kvpb.StoreClient, prefix string) error {
	for {
		stream, err := store.Watch(ctx, &kvpb.WatchRequest{Prefix: prefix})
		for err == nil {
			err = show(stream.Recv())
		}
		if ttrpc.StatusOf(err).Code() != codes.Unavailable {
			return err
		}
	}
}

// load asks CloseAndRecv why a Send has failed.
func load(ctx context.Context, store kvpb.StoreClient, args []string) error {
	stream, err := store.Load(ctx)
	if err != nil {
		return err
	}
	for i := 0; i < len(args) && err == nil; i++ {
		err = stream.Send(item(args[i]))
	}
	reply, err := stream.CloseAndRecv()
	fmt.Println(reply.GetItems(), "items")
	return err
}

func ask(ctx context.Context, store kvpb.StoreClient, keys []string) error {
	stream, err := store.Ask(ctx)
	if err != nil {
		return err
	}
	for i := 0; i < len(keys) && err == nil; i++ {
		if err = stream.Send(&kvpb.GetRequest{Key: keys[i]}); err == nil {
			err = show(stream.Recv())
		}
	}
	return errors.Join(err, stream.CloseSend())
}

// serve serves a store on a unix socket, for this user alone, until ctx ends. Then calls have ten
// seconds to be answered.
func serve(ctx context.Context, path string) error {
	server, err := ttrpc.NewServer(ttrpc.WithServerHandshaker(ttrpc.UnixSocketRequireSameUser()),
		ttrpc.WithServerLogger(slog.Default()),
		ttrpc.WithUnaryServerInterceptor(logUnary), ttrpc.WithStreamServerInterceptor(logStream))
	if err != nil {
		return err
	}
	kvpb.RegisterStoreService(server, &store{done: server.Done(), items: map[string]*kvpb.Item{}, changed: make(chan struct{})})
	l, err := ttrpc.ListenUnix(path)
	if err != nil {
		return err
	}
	defer server.Close() // cuts what has not ended in time
	ended := make(chan error, 1)
	context.AfterFunc(ctx, func() {
		end, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		ended <- server.Shutdown(end)
	})
	if err := server.Serve(context.Background(), l); !errors.Is(err, ttrpc.ErrServerClosed) {
		return err
	}
	return <-ended
}

func logUnary(ctx context.Context, u ttrpc.Unmarshaler, info *ttrpc.UnaryServerInfo, next ttrpc.Method) (any, error) {
	reply, err := next(ctx, u)
	logCall(ctx, info.FullMethod, err)
	return reply, err
}

func logStream(ctx context.Context, s ttrpc.StreamServer, i *ttrpc.StreamServerInfo, next ttrpc.StreamHandler) (any, error) {
	reply, err := next(ctx, s)
	logCall(ctx, i.FullMethod, err)
	return reply, err
}

func logCall(ctx context.Context, method string, err error) {
	peer := ttrpc.HandshakeData(ctx).(*ttrpc.UnixCredentials)
	slog.Info("call", "method", method, "status", ttrpc.StatusOf(err).Code(), "pid", peer.Pid)
}

// store is the service. Its items are not changed, but replaced.
type store struct {
	kvpb.UnimplementedStoreService // answers methods that kv.proto gets later

	done <-chan struct{} // closed when the server shuts down: whoever waits gives up

	mu       sync.Mutex // guards the rest
	items    map[string]*kvpb.Item
	revision uint64
	changed  chan struct{} // closed, and made anew, with each change
}

// since lists the items that have changed after a revision, says which is the last one by now, and
// returns the channel that tells of the next.
func (s *store) since(prefix string, revision uint64) ([]*kvpb.Item, uint64, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var items []*kvpb.Item
	for key, item := range s.items {
		if strings.HasPrefix(key, prefix) && item.Revision > revision {
			items = append(items, item)
		}
	}
	return items, s.revision, s.changed
}

func (s *store) Get(_ context.Context, req *kvpb.GetRequest) (*kvpb.Item, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if item := s.items[req.Key]; item != nil {
		return item, nil
	}
	st, err := status.New(codes.NotFound, "no such key").WithDetails(&errdetails.ResourceInfo{ResourceName: req.Key})
	if err != nil {
		return nil, err
	}
	return nil, st.Err()
}

func (s *store) Put(_ context.Context, item *kvpb.Item) (*kvpb.Item, error) {
	if item.Key == "" {
		return nil, status.Error(codes.InvalidArgument, "an item needs a key")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revision++
	item.Revision = s.revision
	s.items[item.Key] = item
	close(s.changed)
	s.changed = make(chan struct{})
	return item, nil
}

func (s *store) Watch(ctx context.Context, req *kvpb.WatchRequest, stream kvpb.Store_WatchServer) error {
	for seen := uint64(0); ; {
		items, last, changed := s.since(req.Prefix, seen)
		for _, item := range items {
			if err := stream.Send(item); err != nil {
				return err
			}
		}
		seen = last
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.done:
			return status.Error(codes.Unavailable, "the store shuts down: watch again")
		}
	}
}

func (s *store) Load(ctx context.Context, stream kvpb.Store_LoadServer) (*kvpb.LoadReply, error) {
	for n := uint64(0); ; n++ {
		item, err := stream.Recv()
		if errors.Is(err, io.EOF) { // the client is done
			return &kvpb.LoadReply{Items: n}, nil
		}
		if err == nil {
			_, err = s.Put(ctx, item)
		}
		if err != nil {
			return nil, err
		}
	}
}

func (s *store) Ask(ctx context.Context, stream kvpb.Store_AskServer) error {
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		var item *kvpb.Item
		if err == nil {
			item, err = s.Get(ctx, req)
		}
		if err == nil {
			err = stream.Send(item)
		}
		if err != nil {
			return err
		}
	}
}
