package grpcttrpc

import (
	"context"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// call is one call of a client: its method, and what its options say.
type call struct {
	conn          *ClientConn
	method        string // as the caller has it
	service, name string

	err              error // of the options, or of the method's name
	codec            codec // nil: the messages as they are
	subtype          string
	creds            credentials.PerRPCCredentials
	ready            bool // the call waits for a connection
	maxSend, maxRecv *int
	onFinish         []func(error)
	headers          []*metadata.MD // and trailers: to be emptied
	peers            []*peer.Peer
}

// newCall reads the options. Their interface is closed, but their types are not.
func newCall(cc *ClientConn, method string, opts []grpc.CallOption) *call {
	c := &call{conn: cc, method: method}
	c.service, c.name, c.err = splitMethod(method)
	for _, opt := range opts {
		c.apply(opt)
	}
	if c.codec == nil && c.subtype != "" && c.subtype != proto.Name {
		c.fail("content-subtype %q: the messages of ttrpc are protobuf's; grpc.ForceCodec sends others", c.subtype)
	}
	return c
}

// apply reads an option. Those that are not here change nothing that ttrpc has: compressors,
// MaxRetryRPCBufferSize, StaticMethod, and what interceptors define for themselves.
func (c *call) apply(opt grpc.CallOption) {
	switch o := opt.(type) {
	case grpc.HeaderCallOption:
		c.headers = append(c.headers, o.HeaderAddr)
	case grpc.TrailerCallOption:
		c.headers = append(c.headers, o.TrailerAddr)
	case grpc.PeerCallOption:
		c.peers = append(c.peers, o.PeerAddr)
	case grpc.OnFinishCallOption:
		c.onFinish = append(c.onFinish, o.OnFinish)
	case grpc.MaxSendMsgSizeCallOption:
		c.maxSend = &o.MaxSendMsgSize
	case grpc.MaxRecvMsgSizeCallOption:
		c.maxRecv = &o.MaxRecvMsgSize
	case grpc.FailFastCallOption:
		c.ready = !o.FailFast
	case grpc.PerRPCCredsCallOption:
		c.creds = o.Creds
	case grpc.AuthorityOverrideCallOption:
		c.fail("grpc.CallAuthority(%q): ttrpc sends no authority", o.Authority)
	default:
		c.applyCodec(opt)
	}
}

func (c *call) applyCodec(opt grpc.CallOption) {
	switch o := opt.(type) {
	case grpc.ContentSubtypeCallOption:
		c.subtype = o.ContentSubtype
	case grpc.ForceCodecCallOption:
		c.codec = o.Codec
	case grpc.ForceCodecV2CallOption:
		c.codec = codecV2{o.CodecV2}
	case grpc.CustomCodecCallOption:
		c.codec = o.Codec
	}
}

// codecV2 is a codec of grpc's second kind as one of the first.
type codecV2 struct{ encoding.CodecV2 }

func (c *call) fail(format string, args ...any) {
	if c.err == nil {
		c.err = status.Errorf(codes.Unimplemented, "grpcttrpc: "+format, args...)
	}
}

// begin returns the context for the ttrpc call: with the metadata that goes out. Its error is a
// status, and nothing has been sent then.
func (c *call) begin(ctx context.Context) (context.Context, error) {
	if c.err != nil {
		return nil, c.err
	}
	md, err := outgoing(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.addCredentials(ctx, md); err != nil {
		return nil, err
	}
	if c.ready {
		ctx = ttrpc.WaitForReady(ctx)
	}
	return ttrpc.WithMetadata(ctx, md), nil
}

// finish is called once, when the call is over: for the options that tell of it.
func (c *call) finish(err error) {
	for _, md := range c.headers {
		*md = metadata.MD{}
	}
	for _, p := range c.peers {
		*p = *c.conn.peer()
	}
	for _, f := range c.onFinish {
		f(err)
	}
}
