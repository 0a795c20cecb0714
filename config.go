package ttrpc

import (
	"net"
	"time"

	"github.com/containerd/ttrpc/internal/callerr"
	"github.com/containerd/ttrpc/internal/conn"
	"github.com/containerd/ttrpc/internal/peer"
	"github.com/containerd/ttrpc/internal/stats"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// Defaults of the limits; the options beside them change them.
const (
	defaultHandshakeTimeout = 30 * time.Second
	defaultBacklog          = 1 << 20 // bytes posted and not written
	defaultMaxCalls         = 1 << 16 // calls in flight on a connection
	defaultStreamBuffer     = 8 << 20 // bytes received and not taken, a stream
	defaultConnBuffer       = 32 << 20
	defaultStreamWindow     = 1 << 20
	defaultStallTimeout     = 10 * time.Second
	// defaultRequestBuffer is bytes of requests whose handlers have not returned, a connection.
	defaultRequestBuffer = 256 << 20
)

// limits are the options that both sides have.
type limits struct {
	maxRecv, maxSend         int           // bytes of data in a frame
	streamBuffer, connBuffer int           // bytes received and not taken
	streamWindow             int           // bytes of a stream on their way, or received and not taken
	backlog                  int           // bytes posted and not written
	stallTimeout             time.Duration // of a stream that is alone
	handshakeTimeout         time.Duration
	logger                   Logger        // nil: nothing is logged
	stats                    stats.Handler // nil: nobody is told
	extensions               Extensions
	keepalive                func(*peer.Liveness) // see keepAlive; nil: none
}

// keepAlive has a peer pinged so often, with so long to answer; 0: not at all. Options alone name
// it, so that a program without them does not link what pings.
func keepAlive(interval, timeout time.Duration) func(*peer.Liveness) {
	return func(l *peer.Liveness) { peer.Keep(l, interval, timeout) }
}

func defaultLimits() limits {
	return limits{
		maxRecv: wire.DefaultMaxData, maxSend: wire.DefaultMaxData,
		streamBuffer: defaultStreamBuffer, connBuffer: defaultConnBuffer, streamWindow: defaultStreamWindow,
		backlog: defaultBacklog, stallTimeout: defaultStallTimeout, handshakeTimeout: defaultHandshakeTimeout,
	}
}

// connConfig is what a connection has to know of the limits. peerServes says that the server is at
// the other end.
func (l *limits) connConfig(peerServes bool) conn.Config {
	return conn.Config{
		MaxRecv: l.maxRecv, Backlog: l.backlog,
		StreamBuffer: l.streamBuffer, ConnBuffer: l.connBuffer, StreamWindow: l.streamWindow,
		StallTimeout: l.stallTimeout, Extensions: l.extensions.initial(),
		Keepalive: l.keepalive,
		First:     func(first []byte) error { return callerr.Foreign(first, peerServes, l.maxRecv) },
	}
}

func (l *limits) log(msg string, args ...any) {
	if l.logger != nil {
		l.logger.Warn(msg, args...)
	}
}

// logEnd logs why a connection has ended, if not by being closed.
func (l *limits) logEnd(cause error, args ...any) {
	if !transport.IsOrderly(cause) {
		l.log("ttrpc: connection failed", append([]any{"error", cause}, args...)...)
	}
}

type serverConfig struct {
	limits
	handshake          serverHandshake // nil: none
	unaryInterceptors  []UnaryServerInterceptor
	streamInterceptors []StreamServerInterceptor
	recovery           RecoveryFunc
	describe           func(net.Conn) string // who a peer is, for the logger; nil without one
	maxCalls           int
	maxConns           int // 0: any number
	requestBuffer      int
	goroutinePerCall   bool
}

func defaultServerConfig() serverConfig {
	return serverConfig{limits: defaultLimits(), maxCalls: defaultMaxCalls, requestBuffer: defaultRequestBuffer}
}

// ServerOpt configures a server; [NewServer] returns its error.
type ServerOpt func(*serverConfig) error

type clientConfig struct {
	limits
	handshaker        Handshaker
	onClose           func()
	interceptor       UnaryClientInterceptor
	streamInterceptor ClientStreamInterceptor
	redialed          bool // it is one connection of a client that dials again
}

func defaultClientConfig() clientConfig { return clientConfig{limits: defaultLimits()} }

// Logger is what the library logs to; a *slog.Logger is one. It is an interface so that a program
// without a logger does not link one.
type Logger interface {
	Warn(msg string, args ...any)
}

const maxInt = int(^uint(0) >> 1)

func setSize(field *int, n, most int) error {
	if n < 1 || n > most {
		return errInvalidSize
	}
	*field = n
	return nil
}
