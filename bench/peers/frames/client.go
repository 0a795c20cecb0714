package frames

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"

	"github.com/containerd/ttrpc/bench/driver"
)

var errAnswer = errors.New("the answer is not what was sent")

// client lets its callers read their answers in the order in which they wrote.
type client struct {
	conn net.Conn

	mu   sync.Mutex    // guards writing, and last
	last chan struct{} // closed when the newest caller has read its answer

	in  *bufio.Reader // the caller's whose turn it is, as is buf
	buf []byte
}

var request = newFrame(kindEcho, []byte(driver.Text))

func dial(address string, reader Reader) (driver.Client, error) {
	conn, err := net.Dial("unix", address)
	if err != nil {
		return nil, err
	}
	first := make(chan struct{})
	close(first)
	return &client{conn: conn, in: bufio.NewReader(reader(conn)), last: first}, nil
}

func (c *client) Close() error { return c.conn.Close() }

// call writes the parts of a frame and has take read the answer.
func (c *client) call(take func() error, parts ...[]byte) error {
	mine := make(chan struct{})
	c.mu.Lock()
	turn := c.last
	c.last = mine
	buffers := net.Buffers(parts)
	_, err := buffers.WriteTo(c.conn)
	c.mu.Unlock()
	<-turn
	defer close(mine)
	if err != nil {
		return err
	}
	return take()
}

func (c *client) Echo(context.Context) error {
	return c.call(func() (err error) {
		if c.buf, err = readFrame(c.in, c.buf); err == nil && string(c.buf[headerLen:]) != driver.Text {
			err = errAnswer
		}
		return err
	}, request)
}

func (c *client) EchoBlob(_ context.Context, body []byte) error {
	header := binary.BigEndian.AppendUint32(make([]byte, 0, headerLen), uint32(len(body)))
	return c.call(func() (err error) {
		if c.buf, err = readFrame(c.in, c.buf); err == nil && len(c.buf) != headerLen+len(body) {
			err = errAnswer
		}
		return err
	}, append(header, kindEcho), body)
}

// chat has no stream to open or to end: a connection carries nothing else.
type chat struct{ c *client }

func (c *client) Chat(context.Context) (driver.Chat, error) { return chat{c}, nil }

func (s chat) Ping() error { return s.c.Echo(context.Background()) }

func (s chat) Finish() error { return nil }

type feedReader struct {
	c    *client
	left int
}

func (c *client) Feed(_ context.Context, count, size int) (driver.Feed, error) {
	body := binary.BigEndian.AppendUint64(nil, uint64(count))
	body = binary.BigEndian.AppendUint64(body, uint64(size))
	_, err := c.conn.Write(newFrame(kindFeed, body))
	return &feedReader{c, count}, err
}

func (f *feedReader) Next() (n int, err error) {
	if f.left == 0 {
		return 0, io.EOF
	}
	f.left--
	f.c.buf, err = readFrame(f.c.in, f.c.buf)
	return len(f.c.buf) - headerLen, err
}
