package conn

// Kind says what each side of a call sends.
type Kind uint8

// The kinds.
const (
	Unary        Kind = iota // a Request and a Response
	OneEach                  // the same, by a stream's API
	ClientStream             // the client a stream, the server a Response
	ServerStream             // the client a Request, the server a stream
	BidiStream               // both a stream
)

// StreamKind is the kind of a stream.
func StreamKind(client, server bool) Kind {
	switch {
	case client && server:
		return BidiStream
	case client:
		return ClientStream
	case server:
		return ServerStream
	}
	return OneEach
}

// ClientStreams reports whether the client sends a stream.
func (k Kind) ClientStreams() bool { return k == ClientStream || k == BidiStream }

// ServerStreams reports whether the server does.
func (k Kind) ServerStreams() bool { return k == ServerStream || k == BidiStream }

// String is the kind's name in a snapshot.
func (k Kind) String() string {
	return [...]string{"unary", "server stream", "client stream", "server stream", "bidi stream"}[k]
}
