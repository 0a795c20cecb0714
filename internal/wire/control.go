package wire

import "encoding/binary"

// The frames of the extensions. What stands behind the data that is known here is for a later
// version, and skipped.
const (
	TypePing   Type = 0x4  // either way: is answered with a Pong of the same id and data
	TypePong   Type = 0x5  // either way
	TypeHello  Type = 0x40 // client to server: the client knows extensions
	TypeCancel Type = 0x41 // client to server: the call is given up
	TypeWindow Type = 0x42 // either way: how much Data the receiver of a stream takes
	TypeGoAway Type = 0x43 // server to client: no further calls are served
)

const (
	FlagDeadline = 0x1 // Cancel: the call's deadline has passed

	windowLen = 8 // bytes of a Window's data: the limit, big endian
	goAwayLen = 4 // bytes of a GoAway's data: the last id, big endian

	// MaxPing is how many bytes of a Ping's data a Pong has; to a longer one it has none.
	MaxPing = 64
)

// ControlFrame returns a frame of any type without flags, whose data is b.
func ControlFrame(typ Type, stream uint32, b []byte) *Frame {
	f := StartFrame(len(b))
	f.Append(b)
	f.Seal(typ, 0)
	f.SetStream(stream)
	return f
}

// CancelFrame returns a Cancel. late says that the call is given up for its deadline.
func CancelFrame(stream uint32, late bool) *Frame {
	f := ControlFrame(TypeCancel, stream, nil)
	if late {
		f.SetFlag(FlagDeadline)
	}
	return f
}

// WindowFrame returns a Window: the sender of a stream's Data may begin a message while the sum of
// those before is below the limit.
func WindowFrame(stream uint32, limit uint64) *Frame {
	var b [windowLen]byte
	binary.BigEndian.PutUint64(b[:], limit)
	return ControlFrame(TypeWindow, stream, b[:])
}

// ParseWindow reads the limit from the data of a Window.
func ParseWindow(data []byte) (limit uint64, ok bool) {
	if len(data) < windowLen {
		return 0, false
	}
	return binary.BigEndian.Uint64(data), true
}

// GoAwayFrame returns a GoAway: calls up to the id last are served, and no further ones.
func GoAwayFrame(last uint32) *Frame {
	var b [goAwayLen]byte
	binary.BigEndian.PutUint32(b[:], last)
	return ControlFrame(TypeGoAway, 0, b[:])
}

// ParseGoAway reads the last id from the data of a GoAway.
func ParseGoAway(data []byte) (last uint32, ok bool) {
	if len(data) < goAwayLen {
		return 0, false
	}
	return binary.BigEndian.Uint32(data), true
}
