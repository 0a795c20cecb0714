//go:build go1.25

package reflection_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/internal/reflectionpb"
	"github.com/containerd/ttrpc/reflection"
)

// archive is a registry of compressed files, by their names there.
type archive map[string][]byte

// add parses a FileDescriptorProto in text form and stores it under a name.
func (a archive) add(t *testing.T, name, text string) {
	t.Helper()
	b, err := proto.Marshal(parse(t, text))
	check(t, err)
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err = w.Write(b)
	check(t, err)
	check(t, w.Close())
	a[name] = out.Bytes()
}

func (a archive) find(name string) []byte { return a[name] }

func parse(t *testing.T, text string) *descriptorpb.FileDescriptorProto {
	t.Helper()
	fd := new(descriptorpb.FileDescriptorProto)
	check(t, prototext.Unmarshal([]byte(text), fd))
	return fd
}

const (
	serviceFile = `
		name: "shop/service.proto" package: "shop"
		dependency: "shop/types.proto" dependency: "missing.proto" dependency: "gogoproto/gogo.proto" dependency: "google/protobuf/any.proto"
		service { name: "Till" method { name: "Pay" input_type: ".shop.Coin" output_type: ".shop.Coin" } }`
	typesFile = `
		name: "shop/types.proto" package: "shop" dependency: "other/gogo.proto"
		message_type {
			name: "Coin" field { name: "value" number: 1 } oneof_decl { name: "kind" } extension_range { start: 100 end: 200 }
			enum_type { name: "Side" value { name: "HEADS" number: 0 } }
			nested_type { name: "Rim" field { name: "width" number: 1 } }
			extension { name: "year" number: 101 extendee: ".shop.Coin" type: TYPE_INT32 label: LABEL_OPTIONAL }
		}
		enum_type { name: "Metal" value { name: "GOLD" number: 0 } }
		extension { name: "mint" number: 100 extendee: ".shop.Coin" type: TYPE_STRING label: LABEL_OPTIONAL }`
	// As gogo's is, registered by the end of the name that it is imported by.
	gogoFile   = `name: "gogo.proto" package: "gogoproto" message_type { name: "Gogo" }`
	unrelated  = `name: "unrelated.proto" package: "unrelated" message_type { name: "Message" }`
	rootFile   = `name: "root.proto" message_type { name: "Root" } service { name: "Bare" }`
	everything = " shop/service.proto shop/types.proto gogoproto/gogo.proto google/protobuf/any.proto"
)

func shop(t *testing.T) archive {
	a := archive{}
	for name, text := range map[string]string{
		"shop/service.proto": serviceFile, "shop/types.proto": typesFile, "gogo.proto": gogoFile,
		"unrelated.proto": unrelated, "root.proto": rootFile,
	} {
		a.add(t, name, text)
	}
	a["broken.proto"] = []byte("no gzip")
	return a
}

func TestWithGzipped(t *testing.T) {
	option := reflection.WithGzipped(shop(t).find, "shop/service.proto", "root.proto", "broken.proto")
	run(t, func(t *testing.T, _ *ttrpc.Server, client *ttrpc.Client) {
		for symbol, want := range map[string]string{
			"shop.Till": everything, "shop.Till.Pay": everything,
			"gogoproto.Gogo": " gogoproto/gogo.proto", "Root": " root.proto", "Bare": " root.proto",
			"ttrpc.KeyValue": " github.com/containerd/ttrpc/request.proto google/rpc/status.proto google/protobuf/any.proto",
		} {
			set, err := reflection.FileContainingSymbol(t.Context(), client, symbol)
			check(t, err)
			equal(t, names(set), want)
		}
		for _, symbol := range []string{
			"shop.Coin", "shop.Coin.value", "shop.Coin.kind", "shop.Coin.Side", "shop.Coin.HEADS", "shop.Coin.Rim", "shop.Coin.Rim.width",
			"shop.Coin.year", "shop.Metal", "shop.GOLD", "shop.mint",
		} {
			set, err := reflection.FileContainingSymbol(t.Context(), client, symbol)
			check(t, err)
			equal(t, names(set), " shop/types.proto")
		}
		for _, symbol := range []string{"shop", "shop.Metal.GOLD", "Coin", "unrelated.Message", ".shop.Coin", ""} {
			_, err := reflection.FileContainingSymbol(t.Context(), client, symbol)
			wantStatus(t, err, codes.NotFound, protoregistry.NotFound.Error())
		}
	}, option)
}

// TestWithGzippedFiles holds that each file of the registry is found by its name, and one that has
// another name there gets the one that it is imported by.
func TestWithGzippedFiles(t *testing.T) {
	option := reflection.WithGzipped(shop(t).find, "shop/service.proto")
	run(t, func(t *testing.T, _ *ttrpc.Server, client *ttrpc.Client) {
		for name, want := range map[string]string{
			"shop/service.proto": everything, "unrelated.proto": " unrelated.proto", "gogo.proto": " gogo.proto",
			"gogoproto/gogo.proto": " gogoproto/gogo.proto",
		} {
			set, err := reflection.FileByFilename(t.Context(), client, name)
			check(t, err)
			equal(t, names(set), want)
		}
		for _, name := range []string{"broken.proto", "other/gogo.proto", "missing.proto", "service.proto"} {
			_, err := reflection.FileByFilename(t.Context(), client, name)
			wantStatus(t, err, codes.NotFound, protoregistry.NotFound.Error())
		}
	}, option)
}

func TestWithGzippedPanics(t *testing.T) {
	s, err := ttrpc.NewServer()
	check(t, err)
	defer func() {
		equal(t, fmt.Sprint(recover()), `reflection: WithGzipped names the file "nothing.proto", which its registry does not have`)
	}()
	reflection.Register(s, reflection.WithGzipped(shop(t).find, "shop/service.proto", "nothing.proto"))
}

// onlyResolver is a resolver without RangeFiles.
type onlyResolver struct{ protodesc.Resolver }

// TestExtensions holds that extensions are found in what the options add.
func TestExtensions(t *testing.T) {
	types := parse(t, typesFile)
	types.Dependency = nil
	types.MessageType[0].OneofDecl = nil
	types.MessageType[0].Field[0].Type = descriptorpb.FieldDescriptorProto_TYPE_INT32.Enum()
	types.MessageType[0].NestedType[0].Field[0].Type = descriptorpb.FieldDescriptorProto_TYPE_INT32.Enum()
	fd, err := protodesc.NewFile(types, nil)
	check(t, err)
	files := new(protoregistry.Files)
	check(t, files.RegisterFile(fd))
	zipped := reflection.WithGzipped(shop(t).find, "shop/types.proto")
	for name, c := range map[string]struct {
		opts []reflection.Option
		want string
	}{
		"gzipped":              {[]reflection.Option{zipped}, "[100 101]"},
		"files":                {[]reflection.Option{reflection.WithFiles(files)}, "[100 101]"},
		"both":                 {[]reflection.Option{zipped, reflection.WithFiles(files)}, "[100 101]"},
		"files without a list": {[]reflection.Option{reflection.WithFiles(onlyResolver{files})}, "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, _ *ttrpc.Server, client *ttrpc.Client) {
				stream := open(t, t.Context(), client)
				resp := ask(t, stream, reflectionpb.AllExtensionNumbersOfType, "shop.Coin", 0)
				equal(t, resp.BaseType+fmt.Sprint(resp.Numbers), "shop.Coin"+c.want)
				for number, want := range map[int32]bool{100: c.want != "[]", 101: c.want != "[]", 102: false, -1: false} {
					resp := ask(t, stream, reflectionpb.FileContainingExtension, "shop.Coin", number)
					equal(t, len(resp.Files) == 1, want)
				}
			}, c.opts...)
		})
	}
}

// TestWithFiles holds that a resolver's files lead to those of others where it lacks what they
// import, and that what the program has registered comes first.
func TestWithFiles(t *testing.T) {
	service := parse(t, `name: "a.proto" dependency: "unrelated.proto" dependency: "missing.proto" message_type { name: "A" }`)
	fd, err := protodesc.FileOptions{AllowUnresolvable: true}.New(service, new(protoregistry.Files))
	check(t, err)
	other, err := protodesc.NewFile(parse(t, `name: "google/protobuf/any.proto" package: "ttrpc" message_type { name: "Request" }`), nil)
	check(t, err)
	files := new(protoregistry.Files)
	for _, fd := range []protoreflect.FileDescriptor{fd, other} {
		check(t, files.RegisterFile(fd))
	}
	run(t, func(t *testing.T, _ *ttrpc.Server, client *ttrpc.Client) {
		set, err := reflection.FileContainingSymbol(t.Context(), client, "A")
		check(t, err)
		equal(t, names(set), " a.proto unrelated.proto")
		set, err = reflection.FileContainingSymbol(t.Context(), client, "ttrpc.Request")
		check(t, err)
		equal(t, set.File[0].GetName(), "github.com/containerd/ttrpc/request.proto")
		set, err = reflection.FileByFilename(t.Context(), client, "google/protobuf/any.proto")
		check(t, err)
		equal(t, set.File[0].GetPackage(), "google.protobuf")
	}, reflection.WithFiles(files), reflection.WithGzipped(shop(t).find))
}
