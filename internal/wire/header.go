// Package wire has the frames and envelopes of ttrpc as bytes: how they are laid out, built and
// parsed, and the pooled buffers that hold them.
// It does no I/O and knows neither connections nor calls.
package wire

import "encoding/binary"

// A frame is ten bytes of header and the data.
const (
	HeaderLen = 10

	lengthAt = 0 // 4 bytes, big endian: the data's length; the first of them is reserved and zero
	streamAt = 4 // 4 bytes, big endian: the stream id; odd for streams that the client opened
	typeAt   = 8 // 1 byte: Type
	flagsAt  = 9 // 1 byte: flag bits, whose meaning depends on the type

	DefaultMaxData = 4 << 20   // bytes of data in a frame
	MaxData        = 1<<24 - 1 // what three length bytes can say
)

// Type says what a frame is.
type Type uint8

// The types of frames that calls are made of; control.go has the others. A receiver ignores those
// that it does not know.
const (
	TypeRequest  Type = 0x1 // client to server: opens a stream
	TypeResponse Type = 0x2 // server to client: ends a stream
	TypeData     Type = 0x3 // either way: a message of a stream, its end, or both
)

// String is the name that error texts use.
func (t Type) String() string {
	switch t {
	case TypeRequest:
		return "request"
	case TypeResponse:
		return "response"
	case TypeData:
		return "data"
	}
	return "unknown"
}

// The flags of frames. A receiver ignores all others.
const (
	FlagRemoteClosed = 0x1 // the sender sends no more on this stream
	FlagRemoteOpen   = 0x2 // Request: the sender will send Data
	FlagNoData       = 0x4 // the frame has no message; without it an empty frame is an empty message

	// FlagExtensions is set in a server's first Response or Data: it knows extensions.
	FlagExtensions = 0x80
)

// Header is the head of a frame. It is plain data.
type Header struct {
	Length uint32 // stays a uint32 until it is checked against a limit: int may have 32 bits
	Stream uint32
	Type   Type
	Flags  uint8
}

// ParseHeader reads the header at the beginning of b, which has at least HeaderLen bytes.
func ParseHeader(b []byte) Header {
	_ = b[HeaderLen-1]
	return Header{
		Length: binary.BigEndian.Uint32(b[lengthAt:]),
		Stream: binary.BigEndian.Uint32(b[streamAt:]),
		Type:   Type(b[typeAt]),
		Flags:  b[flagsAt],
	}
}

// Put writes the header to the beginning of b, which has at least HeaderLen bytes.
func (h Header) Put(b []byte) {
	_ = b[HeaderLen-1]
	binary.BigEndian.PutUint32(b[lengthAt:], h.Length)
	binary.BigEndian.PutUint32(b[streamAt:], h.Stream)
	b[typeAt], b[flagsAt] = byte(h.Type), h.Flags
}

// FrameLen is the length of the frame that this process has put at the head of b.
func FrameLen(b []byte) int { return HeaderLen + int(ParseHeader(b).Length) }

// FramesWithin is the length of the whole frames at the head of b that fit into limit bytes.
func FramesWithin(b []byte, limit int) int {
	n := 0
	for n < len(b) && n+FrameLen(b[n:]) <= limit {
		n += FrameLen(b[n:])
	}
	return n
}
