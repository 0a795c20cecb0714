package reflection

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/internal/reflectionpb"
)

// ListServices returns the names of a server's services, sorted. The error is that of the call: it
// has the code Unimplemented where the server has no reflection.
func ListServices(ctx context.Context, client *ttrpc.Client) ([]string, error) {
	resp, err := ask(ctx, client, &reflectionpb.Request{Question: reflectionpb.ListServices}, reflectionpb.Services)
	if err != nil {
		return nil, err
	}
	return resp.Services, nil
}

// FileContainingSymbol returns the file that declares a symbol, by its full name: a service, a
// method, a message, a field, an enum and so on. The files that it imports, directly or not, stand
// behind it, as far as the server has them. [protodesc.FileOptions] makes descriptors of them. The
// error is that of the call, or what the server says, with the code NotFound.
//
// [protodesc.FileOptions]: https://pkg.go.dev/google.golang.org/protobuf/reflect/protodesc
func FileContainingSymbol(ctx context.Context, client *ttrpc.Client, symbol string) (*descriptorpb.FileDescriptorSet, error) {
	return askFiles(ctx, client, &reflectionpb.Request{Question: reflectionpb.FileContainingSymbol, Name: symbol})
}

// FileByFilename returns the file of a name, such as google/protobuf/any.proto, as
// FileContainingSymbol does.
func FileByFilename(ctx context.Context, client *ttrpc.Client, name string) (*descriptorpb.FileDescriptorSet, error) {
	return askFiles(ctx, client, &reflectionpb.Request{Question: reflectionpb.FileByFilename, Name: name})
}

func askFiles(ctx context.Context, client *ttrpc.Client, req *reflectionpb.Request) (*descriptorpb.FileDescriptorSet, error) {
	resp, err := ask(ctx, client, req, reflectionpb.Files)
	if err != nil {
		return nil, err
	}
	set := new(descriptorpb.FileDescriptorSet)
	for _, data := range resp.Files {
		fd := new(descriptorpb.FileDescriptorProto)
		if err := proto.Unmarshal(data, fd); err != nil {
			return nil, fmt.Errorf("reflection: the server has sent a malformed file for %s: %w", req.Name, err)
		}
		set.File = append(set.File, fd)
	}
	return set, nil
}

// ask sends one request and returns its response, which has to be the wanted answer.
func ask(ctx context.Context, client *ttrpc.Client, req *reflectionpb.Request, want reflectionpb.Answer) (*reflectionpb.Response, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // frees the stream
	desc := &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}
	stream, err := client.NewStream(ctx, desc, serviceV1, methodName, req)
	if err != nil {
		return nil, err
	}
	resp := new(reflectionpb.Response)
	if err = stream.CloseSend(); err == nil || errors.Is(err, ttrpc.ErrStreamClosed) {
		err = stream.RecvMsg(resp) // which has the status of a stream that is over
	}
	switch {
	case err == io.EOF:
		return nil, fmt.Errorf("reflection: the server does not answer: %w", io.ErrUnexpectedEOF)
	case err != nil:
		return nil, err
	case resp.Answer == reflectionpb.Failure:
		return nil, status.Error(codes.Code(resp.Code), resp.Text)
	case resp.Answer != want:
		return nil, fmt.Errorf("reflection: the server answers with field %d, want %d", resp.Answer, want)
	}
	return resp, nil
}
