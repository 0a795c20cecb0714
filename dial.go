package ttrpc

import (
	"context"
	"time"

	"github.com/containerd/ttrpc/internal/dialer"
	"github.com/containerd/ttrpc/internal/redial"
)

// defaultConnectTimeout is grpc's.
const defaultConnectTimeout = 20 * time.Second

// Dial returns a client that makes its connections itself, to one target, and survives their end;
// so does generated code that holds it. Targets are:
//
//	unix:///run/x.sock, unix:x.sock        a unix socket; a path without "unix:" will do
//	unix-abstract:x, @x                    an abstract unix socket, on Linux; "\x00x" as well
//	vsock:CID:PORT                         AF_VSOCK, on Linux
//	hvsock:/run/vm.sock:PORT               hybrid vsock, by which firecracker and cloud-hypervisor
//	                                       reach the PORT of a guest through a unix socket
//	tcp:HOST:PORT
//	ttrpc+unix://..., ttrpc+vsock://...    containerd's addresses of shims
//
// Each may have "//" behind its scheme. For any other, such as a named pipe of Windows, there is
// [WithDialer]. A path without a scheme is a file here, not an abstract socket as in containerd.
//
// Dial itself connects to nothing: its errors are about the target and ctx, of which attempts have
// the values and not the end. The first call connects, and so does the first one after the end of a
// connection. While an attempt runs calls wait for it. When it fails they fail with its error, and
// so do others, at once, until the next attempt is due: see [Backoff]. With [WithWaitForReady], or
// a context of [WaitForReady], they wait for a connection instead. Such an error is Unavailable and
// wraps ErrClosed and the cause. A call whose context ends while it waits returns an error that
// wraps the context's, and says what it has waited for. [NotSent] holds for both.
//
// A call is made again by itself, on another connection, where NotSent holds for its error, which
// callers do not see then. One that was in flight when its connection ended fails, for it may have
// run. So does a stream; only its opening is repeated.
//
// Options of NewClient hold for each connection, but interceptors and [WithOnClose] for the client
// as a whole: they run once for a call, and after Close. [Client.Err] is nil where there is a
// connection, or none was needed yet, and else says why there is none. [Client.UserOnCloseWait]
// waits for Close and for the end of all connections.
func Dial(ctx context.Context, target string, opts ...ClientOpts) (*Client, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r := &reconnector{dialConfig: dialConfig{
		target: target, backoff: redial.Backoff{}.WithDefaults(), connectTimeout: defaultConnectTimeout,
	}}
	r.client = &Client{clientConfig: defaultClientConfig(), redial: r, closed: make(chan struct{})}
	for _, opt := range opts {
		opt(r.client)
	}
	if r.dial == nil {
		dial, err := dialer.Of(target)
		if err != nil {
			return nil, err
		}
		r.dial = dial
	}
	r.start(ctx)
	return r.client, nil
}
