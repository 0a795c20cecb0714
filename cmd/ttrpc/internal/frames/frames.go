// Package frames takes apart what goes over a ttrpc connection, as PROTOCOL.md describes it.
package frames

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"time"
)

// The types of frames.
const (
	Request  = 1
	Response = 2
	Data     = 3
)

// The flags of frames.
const (
	RemoteClosed = 1
	RemoteOpen   = 2
	NoData       = 4
	Extensions   = 0x80 // the server knows section 10
)

const (
	headerLen = 10
	maxLen    = 1<<24 - 1
)

// Frame is one frame, as it is recorded too.
type Frame struct {
	Time time.Time `json:"time"`
	Conn int       `json:"conn,omitempty"` // which connection, where there are several
	Dir  string    `json:"dir,omitempty"`  // ToServer or ToClient
	ID   uint32    `json:"id"`
	Type uint8     `json:"type"`
	Flag uint8     `json:"flags"`
	Data []byte    `json:"data"`
}

// The directions of a frame.
const (
	ToServer = ">"
	ToClient = "<"
)

// names has those of section 10 of PROTOCOL.md, too.
var names = map[uint8]string{
	Request: "Request", Response: "Response", Data: "Data", 4: "Ping", 5: "Pong",
	0x40: "Hello", 0x41: "Cancel", 0x42: "Window", 0x43: "GoAway",
}

// TypeName returns the name of the frame's type.
func (f *Frame) TypeName() string {
	if name := names[f.Type]; name != "" {
		return name
	}
	return fmt.Sprintf("type %d", f.Type)
}

// FlagNames returns the names of the frame's flags, and "-" where there are none.
func (f *Frame) FlagNames() string {
	var names []string
	for i, name := range []string{"closed", "open", "no-data"} {
		if f.Flag&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if f.Flag&Extensions != 0 {
		names = append(names, "extensions")
	}
	if rest := f.Flag &^ (7 | Extensions); rest != 0 {
		names = append(names, fmt.Sprintf("%#x", rest))
	}
	if len(names) == 0 {
		return "-"
	}
	return strings.Join(names, "+")
}

// Encode returns the frame's bytes.
func (f *Frame) Encode() []byte {
	b := make([]byte, headerLen, headerLen+len(f.Data))
	binary.BigEndian.PutUint32(b, uint32(len(f.Data)))
	binary.BigEndian.PutUint32(b[4:], f.ID)
	b[8], b[9] = f.Type, f.Flag
	return append(b, f.Data...)
}

// Read reads one frame. The error is io.EOF at the end, and io.ErrUnexpectedEOF within a frame.
func Read(r io.Reader) (*Frame, error) {
	var head [headerLen]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxLen {
		return nil, fmt.Errorf("these bytes are no ttrpc: %q", head)
	}
	f := &Frame{Time: time.Now(), ID: binary.BigEndian.Uint32(head[4:]), Type: head[8], Flag: head[9]}
	data, err := io.ReadAll(io.LimitReader(r, int64(n))) // grows with what comes
	if err == nil && uint32(len(data)) < n {
		err = io.ErrUnexpectedEOF
	}
	f.Data = data
	return f, err
}

// Splitter finds the frames in bytes that are given to it piece by piece.
type Splitter struct {
	Each  func(*Frame)
	Wrong func([]byte) // is given bytes that are no frames, once
	rest  []byte
	lost  bool
}

// Write takes the next bytes. It never fails.
func (s *Splitter) Write(p []byte) (int, error) {
	if s.lost {
		return len(p), nil
	}
	s.rest = append(s.rest, p...)
	for len(s.rest) >= headerLen {
		n := binary.BigEndian.Uint32(s.rest)
		if n > maxLen {
			s.lost = true
			s.Wrong(s.rest)
			break
		}
		if uint32(len(s.rest)-headerLen) < n {
			break
		}
		end := headerLen + int(n)
		s.Each(&Frame{
			Time: time.Now(), ID: binary.BigEndian.Uint32(s.rest[4:]), Type: s.rest[8], Flag: s.rest[9],
			Data: append([]byte(nil), s.rest[headerLen:end]...),
		})
		s.rest = s.rest[end:]
	}
	return len(p), nil
}

// Rest returns how many bytes of an unfinished frame there are.
func (s *Splitter) Rest() int {
	if s.lost {
		return 0
	}
	return len(s.rest)
}
