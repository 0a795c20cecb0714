package frames

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
)

func serve(l net.Listener, reader Reader) error {
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			_ = answer(conn, reader(conn)) // ends with the connection
		}()
	}
}

func answer(conn net.Conn, received io.Reader) error {
	in := bufio.NewReader(received)
	var frame []byte
	for {
		var err error
		if frame, err = readFrame(in, frame); err != nil {
			return err
		}
		if frame[4] == kindFeed {
			err = feed(conn, frame[headerLen:])
		} else {
			_, err = conn.Write(frame)
		}
		if err != nil {
			return err
		}
	}
}

// readFrame reads a frame, header and all, into buf or into a larger one.
func readFrame(in *bufio.Reader, buf []byte) ([]byte, error) {
	header, err := in.Peek(headerLen)
	if err != nil {
		return buf, err
	}
	n := headerLen + int(binary.BigEndian.Uint32(header))
	if cap(buf) < n {
		buf = make([]byte, n)
	}
	_, err = io.ReadFull(in, buf[:n])
	return buf[:n], err
}

func feed(conn net.Conn, request []byte) error {
	count, size := binary.BigEndian.Uint64(request), binary.BigEndian.Uint64(request[8:])
	out := bufio.NewWriterSize(conn, 64<<10)
	frame := newFrame(kindEcho, make([]byte, size))
	for range count {
		if _, err := out.Write(frame); err != nil {
			return err
		}
	}
	return out.Flush()
}

func newFrame(kind byte, body []byte) []byte {
	frame := make([]byte, headerLen, headerLen+len(body))
	binary.BigEndian.PutUint32(frame, uint32(len(body)))
	frame[4] = kind
	return append(frame, body...)
}
