package main

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/bufbuild/protocompile"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/cmd/ttrpc/internal/schema"
	"github.com/containerd/ttrpc/reflection"
)

const chatName = "test.chat.v1.Chat"

// chat is testdata/chat.proto, compiled.
func chat(t *testing.T) protoreflect.FileDescriptor {
	compiler := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{"testdata"}}),
	}
	files, err := compiler.Compile(t.Context(), "chat.proto")
	if err != nil {
		t.Fatal(err)
	}
	return files[0]
}

// chatServer is the service of chat.proto without generated code.
type chatServer struct {
	file protoreflect.FileDescriptor
	stop <-chan struct{} // ends the calls that would go on
}

func (c chatServer) new(name string) *dynamicpb.Message {
	return dynamicpb.NewMessage(c.file.Messages().ByName(protoreflect.Name(name)))
}

func (c chatServer) set(m *dynamicpb.Message, field string, v any) {
	m.Set(m.Descriptor().Fields().ByName(protoreflect.Name(field)), protoreflect.ValueOf(v))
}

func (c chatServer) number(n int64) *dynamicpb.Message {
	m := c.new("Number")
	c.set(m, "value", int32(n))
	return m
}

func get(m *dynamicpb.Message, field string) protoreflect.Value {
	return m.Get(m.Descriptor().Fields().ByName(protoreflect.Name(field)))
}

func (c chatServer) greet(ctx context.Context, unmarshal func(any) error) (any, error) {
	req := c.new("GreetRequest")
	if err := unmarshal(req); err != nil {
		return nil, err
	}
	name := get(req, "name").String()
	switch name {
	case "nobody":
		st, err := status.New(codes.NotFound, "nobody is here").WithDetails(
			&errdetails.ErrorInfo{Reason: "EMPTY", Domain: "test"}, durationpb.New(1500000000), c.number(7))
		if err != nil {
			return nil, err
		}
		return nil, st.Err()
	case "never":
		<-c.stop // and not ctx, whose end the client may learn of from this answer
		return nil, status.Error(codes.Aborted, "the server stops")
	}
	reply := c.new("GreetReply")
	who, _ := ttrpc.GetMetadataValue(ctx, "from")
	c.set(reply, "text", "hello "+name+who)
	if name == "any" {
		c.addExtras(reply)
	}
	return reply, nil
}

// addExtras adds an Any of a known type, one in another, and one of a type that nobody knows.
func (c chatServer) addExtras(reply *dynamicpb.Message) {
	known, _ := anypb.New(durationpb.New(2000000000))
	nested, _ := anypb.New(known)
	bare, _ := proto.Marshal(c.number(5))
	list := reply.Mutable(reply.Descriptor().Fields().ByName("extras")).List()
	for _, a := range []*anypb.Any{
		known, nested, {TypeUrl: "test.chat.v1.Number", Value: bare}, {TypeUrl: "types.example.com/secret.Thing/1", Value: []byte("{}")},
	} {
		m := list.NewElement().Message()
		m.Set(m.Descriptor().Fields().ByName("type_url"), protoreflect.ValueOf(a.TypeUrl))
		m.Set(m.Descriptor().Fields().ByName("value"), protoreflect.ValueOf(a.Value))
		list.Append(protoreflect.ValueOf(m))
	}
}

func (c chatServer) count(_ context.Context, stream ttrpc.StreamServer) (any, error) {
	req := c.new("CountRequest")
	if err := stream.RecvMsg(req); err != nil {
		return nil, err
	}
	to := get(req, "to").Int()
	for n := int64(1); to < 0 || n <= to; n++ {
		if err := stream.SendMsg(c.number(n)); err != nil {
			return nil, err
		}
		if to == 13 && n == 2 {
			return nil, status.Error(codes.OutOfRange, "unlucky")
		}
	}
	return nil, nil
}

func (c chatServer) sum(_ context.Context, stream ttrpc.StreamServer) (any, error) {
	total := int64(0)
	for {
		m := c.new("Number")
		if err := stream.RecvMsg(m); err != nil {
			return c.number(total), nil
		}
		total += get(m, "value").Int()
	}
}

func (c chatServer) echo(_ context.Context, stream ttrpc.StreamServer) (any, error) {
	for {
		m := c.new("Number")
		if err := stream.RecvMsg(m); err == io.EOF {
			return nil, nil
		} else if err != nil {
			<-c.stop // the client is to be the first that knows of the call's end
			return nil, err
		}
		if err := stream.SendMsg(m); err != nil {
			return nil, err
		}
	}
}

func (c chatServer) register(server *ttrpc.Server) {
	server.RegisterService(chatName, &ttrpc.ServiceDesc{
		Methods: map[string]ttrpc.Method{"Greet": c.greet},
		Streams: map[string]ttrpc.Stream{
			"Count": {Handler: c.count, StreamingServer: true},
			"Sum":   {Handler: c.sum, StreamingClient: true},
			"Echo":  {Handler: c.echo, StreamingClient: true, StreamingServer: true},
		},
	})
}

// startChat serves chat.proto on dir/chat.sock, with the reflection service where that is wanted.
func startChat(t *testing.T, dir string, reflect bool) {
	file := chat(t)
	startServer(t, filepath.Join(dir, "chat.sock"), func(server *ttrpc.Server) {
		chatServer{file, server.Done()}.register(server)
		if reflect {
			files := new(protoregistry.Files)
			if err := files.RegisterFile(file); err != nil {
				t.Fatal(err)
			}
			reflection.Register(server, reflection.WithFiles(files))
		}
	})
}

// startShim serves what a shim of containerd does: Connect, and State of one container.
func startShim(t *testing.T, path string) {
	set := schema.New(t.Context(), schema.Builtin())
	message := func(name protoreflect.FullName) *dynamicpb.Message {
		d, err := set.Find("containerd.task.v3." + name)
		if err != nil {
			panic(err)
		}
		return dynamicpb.NewMessage(d.(protoreflect.MessageDescriptor))
	}
	put := func(m *dynamicpb.Message, field string, v any) *dynamicpb.Message {
		m.Set(m.Descriptor().Fields().ByName(protoreflect.Name(field)), protoreflect.ValueOf(v))
		return m
	}
	startServer(t, path, func(server *ttrpc.Server) {
		server.Register("containerd.task.v3.Task", map[string]ttrpc.Method{
			"Connect": func(context.Context, func(any) error) (any, error) {
				return put(message("ConnectResponse"), "shim_pid", uint32(os.Getpid())), nil
			},
			"State": func(ctx context.Context, unmarshal func(any) error) (any, error) {
				req := message("StateRequest")
				if err := unmarshal(req); err != nil {
					return nil, err
				}
				namespace, _ := ttrpc.GetMetadataValue(ctx, "containerd-namespace-ttrpc")
				resp := put(message("StateResponse"), "id", get(req, "id").String())
				return put(resp, "bundle", "in "+namespace), nil
			},
		})
	})
}

// startServer serves until the test ends.
func startServer(t *testing.T, path string, register func(*ttrpc.Server)) {
	t.Helper()
	server, err := ttrpc.NewServer()
	if err != nil {
		t.Fatal(err)
	}
	register(server)
	serve(t, server, path)
}

func serve(t *testing.T, server *ttrpc.Server, path string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.Background(), l) }()
	t.Cleanup(func() {
		server.Close()
		<-served
	})
}
