package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/cmd/ttrpc/internal/frames"
	"github.com/containerd/ttrpc/cmd/ttrpc/internal/schema"
)

// patience is for how long a server is waited for, where the user has not said.
const patience = 10 * time.Second

// largest is the size of the largest message that the protocol has room for: which ones are too
// large for a server is left to that.
const largest = 1<<24 - 1

// connectFlags say how a server is reached, and what is sent with each call.
type connectFlags struct {
	timeout time.Duration // unset, 0 (for ever) or more
	headers texts
}

const unset = time.Duration(-1)

func (c *connectFlags) declare(fs *flag.FlagSet) {
	c.timeout = unset
	fs.Var((*span)(&c.timeout), "timeout",
		"the `TIME` that a call may take, such as 1m30s; 0 is for ever. By default a unary\n"+
			"call has 10s, and a stream goes on, but says so when it has been silent for 10s")
	fs.Var(&c.headers, "H", "metadata, `KEY:VALUE`, that is sent with each call; it may be given several times")
}

// limit is the time for a unary call; 0 is none.
func (c *connectFlags) limit() time.Duration {
	if c.timeout == unset {
		return patience
	}
	return c.timeout
}

// metadata adds the headers to a context.
func (c *connectFlags) metadata(ctx context.Context) (context.Context, error) {
	md := ttrpc.MD{}
	for _, h := range c.headers {
		key, value, ok := strings.Cut(h, ":")
		if !ok || key == "" {
			return nil, usagef("-H %q has not the form key:value", h)
		}
		md.Append(strings.TrimSpace(key), strings.TrimSpace(value))
	}
	if len(md) == 0 {
		return ctx, nil
	}
	return ttrpc.WithMetadata(ctx, md), nil
}

// within returns a context that ends after the time, if that is not 0.
func within(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if limit == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, limit)
}

// peer is a server and the client that talks to it.
type peer struct {
	address   string
	client    *ttrpc.Client
	connected atomic.Bool
	pid       atomic.Int64                        // of who listens, if that is known
	watcher   atomic.Pointer[func(*frames.Frame)] // is shown each frame
	watch     bool
}

// handshake is a function that is a Handshaker.
type handshake func(context.Context, net.Conn) (net.Conn, any, error)

func (h handshake) Handshake(ctx context.Context, conn net.Conn) (net.Conn, any, error) {
	return h(ctx, conn)
}

// dial returns a peer, which connects with its first call, and the context for calls, which has the
// headers. With watch the peer's frames can be seen.
func (c *connectFlags) dial(ctx context.Context, address string, watch bool) (context.Context, *peer, error) {
	ctx, err := c.metadata(ctx)
	if err != nil {
		return nil, nil, err
	}
	p := &peer{address: address, watch: watch}
	client, err := ttrpc.Dial(ctx, address,
		ttrpc.WithClientHandshaker(handshake(p.handshake)), ttrpc.WithConnectTimeout(patience),
		ttrpc.WithClientMaxSendMsgSize(largest), ttrpc.WithClientMaxRecvMsgSize(largest))
	if err != nil {
		return nil, nil, badAddress(err)
	}
	p.client = client
	return ctx, p, nil
}

// badAddress is the error of an address, which it names, in the words of this command.
func badAddress(err error) error {
	return usageError{errors.New(strings.Replace(err.Error(), "none that Dial knows: use WithDialer",
		"unknown; ttrpc -help lists the kinds of addresses", 1))}
}

func (p *peer) close() { p.client.Close() }

// handshake looks who is at the other end.
func (p *peer) handshake(ctx context.Context, conn net.Conn) (net.Conn, any, error) {
	p.connected.Store(true)
	if _, ok := conn.(*net.UnixConn); ok {
		see := ttrpc.UnixCredentialsFunc(func(c *ttrpc.UnixCredentials) error {
			p.pid.Store(int64(c.Pid))
			return nil
		})
		_, _, _ = see.Handshake(ctx, conn) // who it is need not be known
	}
	if !p.watch {
		return conn, nil, nil
	}
	each := func(f *frames.Frame) {
		if see := p.watcher.Load(); see != nil {
			(*see)(f)
		}
	}
	return frames.Watch(conn, each, func(string, []byte) {}), nil, nil
}

// program is the descriptors of the program that listens.
func (p *peer) program() schema.Source {
	load := func(ctx context.Context) (schema.Files, error) {
		pid := int(p.pid.Load())
		if pid == 0 {
			return nil, errors.New("the system does not tell whose socket that is")
		}
		files, err := schema.Process(pid).Load(ctx)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("process %d has ended", pid)
		} else if errors.Is(err, fs.ErrPermission) {
			err = fmt.Errorf("process %d is another user's: root may read its program", pid)
		} else if err != nil {
			err = fmt.Errorf("process %d: %w", pid, err)
		}
		return files, err
	}
	return schema.Source{Name: "the program that listens", Load: load}
}

// shimServices are those that tell a shim's pid, the newest first.
var shimServices = []string{"containerd.task.v3.Task", "containerd.task.v2.Task"}

// shimProgram is the descriptors of the program of the process that a shim says it is. The one that
// listens is another one, which has ended: it has started the shim.
func (p *peer) shimProgram() schema.Source {
	load := func(ctx context.Context) (schema.Files, error) {
		pid, err := p.shimPID(ctx)
		if err != nil {
			return nil, err
		}
		return schema.Process(pid).Load(ctx)
	}
	return schema.Source{Name: "the program of the shim", Load: load}
}

// shimPID asks a shim for its pid, by the call Connect, which changes nothing.
func (p *peer) shimPID(ctx context.Context) (pid int, err error) {
	builtin := schema.New(ctx, schema.Builtin())
	for _, service := range shimServices {
		var d protoreflect.Descriptor
		if d, err = builtin.Find(protoreflect.FullName(service + ".Connect")); err != nil {
			return 0, err
		}
		md := d.(protoreflect.MethodDescriptor)
		resp := dynamicpb.NewMessage(md.Output())
		if err = p.client.Call(ctx, service, "Connect", proto.Message(dynamicpb.NewMessage(md.Input())), resp); err != nil {
			if isConnection(err) || ctx.Err() != nil {
				return 0, err
			}
			continue
		}
		return int(resp.Get(md.Output().Fields().ByName("shim_pid")).Uint()), nil
	}
	if isRefusal(ttrpc.StatusOf(err).Code()) {
		return 0, errors.New("the server is no shim of containerd")
	}
	return 0, err
}
