package peer

import (
	"context"
	"encoding/binary"
	"sync"
	"time"

	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// Conn is the connection whose peer is asked. Its methods are called under no lock.
type Conn interface {
	// These four are a transport's.
	Post(f *wire.Frame) (transport.Unwritten, error)
	LastRead() time.Duration
	Unwritten() int
	WriteProgress() uint64
	// Waits reports whether what comes lies unread, behind what somebody has to take first.
	Waits() bool
	// PeerSilent says that the peer has given no sign of life within a time, though it was asked.
	PeerSilent(within time.Duration)
}

// Liveness asks a connection's peer for signs of life, and gives them. The zero value can be ended,
// and no more: Init comes before all else.
type Liveness struct {
	_ [0]func() // no code is made that compares two of these

	conn Conn
	ext  *Extensions

	mu    sync.Mutex // guards pings, and what it points to; taken last
	pings *pings     // nil, as most connections have it: nobody has asked, and it has not ended
}

// Init says whose peer is asked, and where it stands whether that knows extensions.
func (l *Liveness) Init(conn Conn, ext *Extensions) { l.conn, l.ext = conn, ext }

func (l *Liveness) pingsLocked() *pings {
	if l.pings == nil {
		l.pings = new(pings)
	}
	return l.pings
}

// Ping asks the peer for a sign of life, and waits for it. Its error is ctx's, or that of End.
func (l *Liveness) Ping(ctx context.Context) error {
	if !l.ext.Known() {
		return l.pingUnknown(ctx)
	}
	number, answered, err := l.sendPing()
	if err != nil {
		return err
	}
	defer l.forget(number)
	return l.await(ctx, answered)
}

// pingUnknown asks a server that may know no extensions, by a frame that it has to refuse: a
// Request, for servers of v1.0 and v1.1, and the blocking half of the Rust crate, ignore all other
// types. Those who ask meanwhile wait for the same refusal.
func (l *Liveness) pingUnknown(ctx context.Context) error {
	l.mu.Lock()
	answered, first, err := l.pingsLocked().beginProbe()
	l.mu.Unlock()
	if err != nil {
		return err
	}
	if first {
		l.send(wire.ControlFrame(wire.TypeRequest, 0, nil))
	}
	return l.await(ctx, answered)
}

// pingID is the id of our Pings. A server answers them on odd ids, whatever calls there are.
const pingID = 1

func (l *Liveness) sendPing() (number uint64, answered chan struct{}, err error) {
	l.mu.Lock()
	number, answered, err = l.pingsLocked().begin()
	l.mu.Unlock()
	if err == nil {
		l.send(wire.ControlFrame(wire.TypePing, pingID, binary.BigEndian.AppendUint64(nil, number)))
	}
	return number, answered, err
}

func (l *Liveness) send(f *wire.Frame) {
	posted, _ := l.conn.Post(f) // a failure is the connection's, which is about to end
	posted.Flush(false)
}

// forget says that a Ping is answered, or that nobody waits for that any more.
func (l *Liveness) forget(number uint64) {
	l.mu.Lock()
	l.pingsLocked().end(number)
	l.mu.Unlock()
}

func (l *Liveness) await(ctx context.Context, answered chan struct{}) error {
	select {
	case <-answered:
	case <-ctx.Done():
		return ctx.Err()
	}
	l.mu.Lock()
	err := l.pingsLocked().ended
	l.mu.Unlock()
	return err
}

// HandlePing answers a Ping. The caller reads, so another goroutine writes.
func (l *Liveness) HandlePing(id uint32, data []byte) {
	if len(data) > wire.MaxPing {
		data = nil
	}
	if posted, err := l.conn.Post(wire.ControlFrame(wire.TypePong, id, data)); err == nil {
		posted.FlushLater()
	}
}

// HandlePong takes a Pong, which may be nobody's.
func (l *Liveness) HandlePong(data []byte) {
	if len(data) == 8 {
		l.forget(binary.BigEndian.Uint64(data))
	}
}

// HandleRefused takes the refusal of a probe, if there is one.
func (l *Liveness) HandleRefused() {
	l.mu.Lock()
	l.pingsLocked().endProbe()
	l.mu.Unlock()
}

// End says that the connection has ended: those who ask, and who will, get err.
func (l *Liveness) End(err error) {
	l.mu.Lock()
	l.pingsLocked().endAll(err)
	l.mu.Unlock()
}
