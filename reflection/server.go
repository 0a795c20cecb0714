package reflection

import (
	"context"
	"io"
	"maps"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protodesc"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/internal/reflectionpb"
)

// The names of the service and of its only method in the .proto files.
const (
	serviceV1      = "grpc.reflection.v1.ServerReflection"
	serviceV1Alpha = "grpc.reflection.v1alpha.ServerReflection"
	methodName     = "ServerReflectionInfo"
)

// Option adds descriptors to those that the program has registered.
type Option func(*server)

// WithFiles adds the files of a resolver, such as a [protoregistry.Files], which has to be safe for
// concurrent use. Extensions in them are found if it has the method RangeFiles of that type. The
// files that the program has registered come first, and then the options' in their order.
//
// [protoregistry.Files]: https://pkg.go.dev/google.golang.org/protobuf/reflect/protoregistry#Files
func WithFiles(files protodesc.Resolver) Option {
	return func(s *server) { s.sources = append(s.sources, resolved{files}) }
}

// WithGzipped adds files whose descriptors find gives by their names, compressed by gzip; nil is
// one that it does not have. That is what gogo's registry offers, and that of golang/protobuf
// before its version 1.4:
//
//	reflection.Register(server, reflection.WithGzipped(proto.FileDescriptor, "example/greeter.proto"))
//
// Such a registry can't be searched, so names has the files in which symbols and extensions are
// looked for, those of the services above all. The files that they import belong to them, as far as
// find has them. It may have one by the end of its name alone, as gogo's has gogoproto/gogo.proto.
// Register panics when find does not have one of names; find has to be safe for concurrent use.
func WithGzipped(find func(name string) []byte, names ...string) Option {
	return func(s *server) { s.sources = append(s.sources, newGzipped(find, names)) }
}

// Register adds both versions of the reflection service to t. It panics when t has one of them
// already. What is registered with t later is seen as well. When t is shut down the calls of the
// service end with the code Unavailable, so that t.Shutdown does not wait for their clients.
func Register(t *ttrpc.Server, opts ...Option) {
	s := &server{ttrpc: t, sources: sources{registered{}}}
	for _, opt := range opts {
		opt(s)
	}
	s.sources = append(s.sources, builtIn{})
	for _, name := range []string{serviceV1, serviceV1Alpha} {
		t.RegisterService(name, &ttrpc.ServiceDesc{Streams: map[string]ttrpc.Stream{
			methodName: {Handler: s.info, StreamingClient: true, StreamingServer: true},
		}})
	}
}

type server struct {
	ttrpc   *ttrpc.Server
	sources sources
}

// received is what RecvMsg has come to.
type received struct {
	req *reflectionpb.Request
	err error
}

// info answers the requests of one stream.
func (s *server) info(ctx context.Context, stream ttrpc.StreamServer) (any, error) {
	requests := make(chan received)
	go receive(ctx, stream, requests)
	sent := map[string]bool{}
	for {
		var r received
		select {
		case r = <-requests:
		case <-s.ttrpc.Done():
			return nil, status.Error(codes.Unavailable, "reflection: the server is shutting down")
		}
		if r.err == io.EOF {
			return nil, nil
		}
		if r.err != nil {
			return nil, r.err
		}
		resp, err := s.answer(r.req, sent)
		if err == nil {
			err = stream.SendMsg(resp)
		}
		if err != nil {
			return nil, err
		}
	}
}

// receive passes requests on until there are none, or the handler has returned, which ends ctx.
func receive(ctx context.Context, stream ttrpc.StreamServer, requests chan<- received) {
	for {
		r := received{req: new(reflectionpb.Request)}
		r.err = stream.RecvMsg(r.req)
		select {
		case requests <- r:
		case <-ctx.Done():
			return
		}
		if r.err != nil {
			return
		}
	}
}

// answer answers a request. sent has the names of the files that the stream has been given.
func (s *server) answer(req *reflectionpb.Request, sent map[string]bool) (*reflectionpb.Response, error) {
	resp := &reflectionpb.Response{ValidHost: req.Host, OriginalRequest: req}
	var f file
	var err error
	switch req.Question {
	case reflectionpb.FileByFilename:
		f, err = s.sources.file(req.Name)
	case reflectionpb.FileContainingSymbol:
		f, err = s.sources.symbol(req.Name)
	case reflectionpb.FileContainingExtension:
		f, err = s.sources.extension(req.Name, req.Number)
	case reflectionpb.AllExtensionNumbersOfType:
		resp.Answer, resp.BaseType = reflectionpb.ExtensionNumbers, req.Name
		if resp.Numbers = s.sources.extensions(req.Name); len(resp.Numbers) == 0 {
			_, err = s.sources.symbol(req.Name) // which says whether there is such a type
		}
	case reflectionpb.ListServices:
		resp.Answer, resp.Services = reflectionpb.Services, slices.Sorted(maps.Keys(s.ttrpc.Services()))
	default:
		return nil, status.Error(codes.InvalidArgument, "invalid MessageRequest: <nil>")
	}
	if err == nil && f != nil {
		resp.Answer = reflectionpb.Files
		resp.Files, err = s.sources.withImports(f, sent)
	}
	if err != nil {
		resp.Answer, resp.Code, resp.Text = reflectionpb.Failure, int32(codes.NotFound), err.Error()
	}
	return resp, nil
}
