package rust

import (
	"bytes"
	"encoding/binary"
	"net"
	"slices"
	"sync"
	"testing"
)

// The types of frames that peers without extensions know.
const (
	typeRequest  = 1
	typeResponse = 2
	typeData     = 3
)

// recorder is a conn that keeps what is written to it.
type recorder struct {
	net.Conn
	mu      sync.Mutex // guards written
	written bytes.Buffer
}

func (r *recorder) Write(p []byte) (int, error) {
	n, err := r.Conn.Write(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.written.Write(p[:n])
	return n, err
}

// wantOnly fails the test if frames of other types were written, or none at all.
func (r *recorder) wantOnly(t *testing.T, types ...byte) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	frames := 0
	for b := r.written.Bytes(); len(b) >= 10; frames++ {
		if !slices.Contains(types, b[8]) {
			t.Errorf("frame %d has type %d, id %d", frames, b[8], binary.BigEndian.Uint32(b[4:]))
		}
		end := 10 + int(binary.BigEndian.Uint32(b))
		b = b[min(end, len(b)):]
	}
	if frames == 0 {
		t.Error("no frame was written")
	}
}

// recordingListener keeps the conns that it has accepted.
type recordingListener struct {
	net.Listener
	mu  sync.Mutex // guards all
	all []*recorder
}

func listen(t *testing.T, addr string) *recordingListener {
	t.Helper()
	l, err := net.Listen("unix", addr)
	check(t, err)
	t.Cleanup(func() { l.Close() })
	return &recordingListener{Listener: l}
}

func (l *recordingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	r := &recorder{Conn: conn}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, r)
	return r, nil
}

func (l *recordingListener) conns(each func(*recorder)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.all {
		each(r)
	}
}
