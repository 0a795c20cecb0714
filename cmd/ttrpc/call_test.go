package main

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/debug"
	"github.com/containerd/ttrpc/health"
	"github.com/containerd/ttrpc/reflection"
)

func TestCall(t *testing.T) {
	dir := tempDir(t)
	startChat(t, dir, true)
	if err := os.WriteFile(filepath.Join(dir, "req.json"), []byte(`{"name": "file"}`), 0o666); err != nil {
		t.Fatal(err)
	}
	call := func(method string, args ...string) []string {
		return append([]string{"call", "unix://DIR/chat.sock", method}, args...)
	}
	checkLines(t, dir, []line{
		{name: "unary", args: call("Chat/Greet", "-d", `{"name":"you"}`)},
		{name: "unary without input", args: call(chatName + ".Greet")},
		{name: "unary several", stdin: `{"name":"a"} {"name":"b"}` + "\n" + `{"name":"c"}`, args: call(chatName+"/Greet", "-d", "@-", "-n", "2")},
		{name: "unary several flags", args: call("Chat/Greet", "-d", `{"name":"a"}`, "-d", `{"name":"b"}`, "-d", "@DIR/req.json")},
		{name: "client streaming several flags", stdin: `{"value":2}`, args: call("Chat/Sum", "-d", `{"value":1}`, "-d", "@-")},
		{name: "bad json in a flag", args: call("Chat/Greet", "-d", `{"name":"a"}`, "-d", `{"name":`, "-d", `"b"}`)},
		{name: "unary file and metadata", args: call("Chat/Greet", "-d", "@DIR/req.json", "-H", "from: with love")},
		{name: "unary any", args: call("Chat/Greet", "-d", `{"name":"any"}`)},
		{name: "unary defaults", args: call("Chat/Greet", "-emit-defaults")},
		{name: "unary text", args: call("Chat/Greet", "-o", "text", "-d", `{"name":"any"}`)},
		{name: "unary bin", args: call("Chat/Greet", "-o", "bin", "-d", `{"name":"you"}`)},
		{name: "unary events", args: call("Chat/Greet", "-o", "events", "-d", `{"name":"you"}{"name":"nobody"}`)},
		{name: "unary status", args: call("Chat/Greet", "-d", `{"name":"nobody"}`)},
		{name: "unary timeout", args: call("Chat/Greet", "-d", `{"name":"never"}`, "-timeout", "50ms")},
		{name: "server streaming", args: call("Chat/Count", "-d", `{"to":3}`)},
		{name: "server streaming n", args: call("Chat/Count", "-d", `{"to":-1}`, "-n", "2", "-o", "events")},
		{name: "server streaming status", args: call("Chat/Count", "-d", `{"to":13}`, "-o", "events")},
		{name: "client streaming", args: call("Chat/Sum", "-d", `{"value":3}{"value":4}`)},
		{name: "client streaming nothing", args: call("Chat/Sum")},
		{name: "bidirectional", stdin: `{"value":3}{"value":4}`, args: call("Chat/Echo", "-d", "@-", "-o", "events")},
		{name: "keep open", args: call("Chat/Echo", "-d", `{"value":3}`, "-keep-open", "-n", "1")},
		{name: "stream timeout", args: call("Chat/Echo", "-keep-open", "-timeout", "10ms")},
		{name: "bad json", args: call("Chat/Greet", "-d", `{"name":`)},
		{name: "bad field", args: call("Chat/Greet", "-d", `{"nome":"x"}`)},
		{name: "bad stream input", args: call("Chat/Sum", "-d", `{"value":1} {"value":"x"}`)},
		{name: "no such method", args: call("Chat/Wave")},
		{name: "no such service", args: call("Chut/Wave")},
		{name: "no method", args: call("Chat")},
		{name: "only a service", args: call(chatName)},
		{name: "nearly a service", args: call("test.chat.v1.Chit/Greet")},
		{name: "no such service there", args: call("containerd.task.v3.Task/State")},
		{name: "too many arguments", args: call("Chat/Greet", `{"name":"you"}`)},
		{name: "input is a folder", args: call("Chat/Greet", "-d", "@DIR")},
		{name: "oversized", stdin: `{"name":"` + strings.Repeat("x", 17<<20) + `"}`, args: call("Chat/Greet", "-d", "@-")},
		{name: "bad timeout", args: call("Chat/Greet", "-timeout", "3")},
		{name: "negative timeout", args: call("Chat/Greet", "-timeout", "-3s")},
		{name: "bad count", args: call("Chat/Greet", "-n", "-1")},
		{name: "unknown scheme", args: []string{"call", "http://x", "Chat/Greet"}},
		{name: "no such file", args: call("Chat/Greet", "-d", "@DIR/none")},
		{name: "bad format", args: call("Chat/Greet", "-o", "xml")},
		{name: "bad metadata", args: call("Chat/Greet", "-H", "from")},
		{name: "bad flag", args: call("Chat/Greet", "-x")},
		{name: "no arguments", args: []string{"call"}},
		{name: "no server", args: []string{"call", "-", "Chat/Greet"}},
		{name: "nobody listens to the whole name", args: []string{"call", "DIR/none.sock", chatName + "/Greet"}},
		{name: "nobody listens", args: []string{"call", "DIR/none.sock", "Chat/Greet"}},
		{name: "bad address", args: []string{"call", "foo:bar", "Chat/Greet"}},
	})
}

// A message goes out when its line has come, and not at the end of input.
func TestCallStreamsInput(t *testing.T) {
	dir := tempDir(t)
	startChat(t, dir, true)
	stdin, input := io.Pipe()
	output, stdout := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(t.Context(), []string{"call", dir + "/chat.sock", "Chat/Echo", "-d", "@-", "-o", "bin"}, stdio{stdin, stdout, io.Discard})
	}()
	for _, line := range []string{`{"value":1}` + "\n", `{"value":2}` + "\n"} {
		if _, err := io.WriteString(input, line); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 3)
		if _, err := io.ReadFull(output, got); err != nil || got[0] != 2 {
			t.Fatalf("%x, %v", got, err)
		}
	}
	input.Close()
	if got := <-code; got != 0 {
		t.Errorf("exit code %d", got)
	}
}

// The schema of a server without reflection is found elsewhere.
func TestSchemaSources(t *testing.T) {
	dir := tempDir(t)
	startChat(t, dir, false)
	writeProtoset(t, filepath.Join(dir, "chat.protoset"))
	data, err := proto.Marshal(protodesc.ToFileDescriptorProto(chat(t)))
	if err != nil {
		t.Fatal(err)
	}
	image := append(append([]byte("\x7fELF.. x.proto \x0a\x08no.proto"), data...), 'b', 3, 'p', 'a', 'd')
	if err := os.WriteFile(filepath.Join(dir, "program"), image, 0o666); err != nil {
		t.Fatal(err)
	}
	call := func(args ...string) []string {
		return append([]string{"call", "DIR/chat.sock", "Chat/Greet", "-d", `{"name":"any","at":"2026-01-01T00:00:00Z"}`, "-o", "events"}, args...)
	}
	checkLines(t, dir, []line{
		{name: "schema proto", args: call("-I", "testdata", "-proto", "chat.proto")},
		{name: "schema proto with its folder", args: call("-I", "testdata", "-proto", "testdata/chat.proto")},
		{name: "schema protoset", args: call("-protoset", "DIR/chat.protoset")},
		{name: "schema binary", args: call("-binary", "DIR/program")},
		{name: "schema nowhere", args: call()},
		{name: "schema no file", args: call("-proto", "DIR/none.proto")},
		{name: "schema no program", args: call("-binary", "DIR/chat.protoset.none")},
		{name: "list without reflection", args: []string{"list", "DIR/chat.sock", "-protoset", "DIR/chat.protoset"}},
	})
}

func TestListDescribe(t *testing.T) {
	dir := tempDir(t)
	startChat(t, dir, true)
	checkLines(t, dir, []line{
		{name: "list", args: []string{"list", "DIR/chat.sock"}},
		{name: "list methods", args: []string{"list", "DIR/chat.sock", chatName}},
		{name: "list files", args: []string{"list", "-", "-I", "testdata", "-proto", "chat.proto"}},
		{name: "list nearly", args: []string{"list", "DIR/chat.sock", "chat"}},
		{name: "list too many arguments", args: []string{"list", "DIR/chat.sock", chatName, "more"}},
		{name: "describe nearly", args: []string{"describe", "DIR/chat.sock", "GreetRep"}},
		{name: "list no arguments", args: []string{"list"}},
		{name: "list nothing", args: []string{"list", "-"}},
		{name: "describe", args: []string{"describe", "DIR/chat.sock", chatName}},
		{name: "describe message", args: []string{"describe", "DIR/chat.sock", "test.chat.v1.GreetReply"}},
		{name: "describe method", args: []string{"describe", "DIR/chat.sock", chatName + "/Echo"}},
		{name: "describe enum", args: []string{"describe", "-", "test.chat.v1.Mood", "-I", "testdata", "-proto", "chat.proto"}},
		{name: "describe nothing", args: []string{"describe", "DIR/chat.sock", "foo.Bar"}},
		{name: "describe file", args: []string{"describe", "-", "-I", "testdata", "-proto", "chat.proto"}},
	})
}

func TestProtosetOut(t *testing.T) {
	dir := tempDir(t)
	out := runLine(t, dir, "", "describe", "-", "-I", "testdata", "-proto", "chat.proto", "-protoset-out", "DIR/out")
	if out != "--- exit code 0\n" {
		t.Fatal(out)
	}
	data, err := os.ReadFile(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	set := new(descriptorpb.FileDescriptorSet)
	if err := proto.Unmarshal(data, set); err != nil || len(set.File) != 3 {
		t.Errorf("%d files, %v", len(set.File), err)
	}
}

// Metadata goes with all calls, those that ask what the server has too.
func TestMetadataOfAllCalls(t *testing.T) {
	dir := tempDir(t)
	var missing atomic.Int64
	check := func(ctx context.Context) {
		if v, _ := ttrpc.GetMetadataValue(ctx, "token"); v != "secret" {
			missing.Add(1)
		}
	}
	server, err := ttrpc.NewServer(
		ttrpc.WithUnaryServerInterceptor(func(
			ctx context.Context, u ttrpc.Unmarshaler, _ *ttrpc.UnaryServerInfo, m ttrpc.Method,
		) (any, error) {
			check(ctx)
			return m(ctx, u)
		}),
		ttrpc.WithStreamServerInterceptor(func(
			ctx context.Context, s ttrpc.StreamServer, _ *ttrpc.StreamServerInfo, h ttrpc.StreamHandler,
		) (any, error) {
			check(ctx)
			return h(ctx, s)
		}))
	if err != nil {
		t.Fatal(err)
	}
	chatServer{chat(t), server.Done()}.register(server)
	reflection.Register(server)
	health.NewServer().Register(server)
	debug.Register(server)
	serve(t, server, filepath.Join(dir, "x.sock"))
	for _, args := range [][]string{
		{"list"}, {"describe"}, {"ping"}, {"health"}, {"health", "-list"}, {"top", "-n", "1"},
	} {
		got := runLine(t, dir, "", append(args, "DIR/x.sock", "-H", "token:secret")...)
		if n := missing.Swap(0); n != 0 || !strings.HasSuffix(got, "exit code 0\n") {
			t.Errorf("%v: %d calls without metadata: %s", args, n, got)
		}
	}
}

// A server that accepts and says nothing, and two that speak other protocols.
func TestStrangers(t *testing.T) {
	dir := tempDir(t)
	for name, greeting := range map[string]string{
		"silent": "", "http": "HTTP/1.1 400 Bad Request\r\n\r\n", "grpc": "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00",
	} {
		l, err := net.Listen("unix", filepath.Join(dir, name+".sock"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				t.Cleanup(func() { conn.Close() })
				go io.WriteString(conn, greeting)
			}
		}()
	}
	call := func(name string) []string {
		return []string{"call", "DIR/" + name + ".sock", "Chat/Greet", "-I", "testdata", "-proto", "chat.proto", "-timeout", "1m"}
	}
	for name, says := range map[string]string{"http": "(HTTP/1.1 response)", "grpc": "(HTTP/2 (gRPC) settings frame)"} {
		// How it goes on to say it depends on what comes first, the call or the stranger's bytes.
		got := runLine(t, dir, "", call(name)...)
		if !strings.Contains(got, "the server does not speak ttrpc") || !strings.Contains(got, says) || !strings.Contains(got, "exit code 2") {
			t.Errorf("%s: %s", name, got)
		}
	}
	for _, l := range []line{
		{name: "stranger silent", args: append(call("silent"), "-timeout", "2s")},
		{name: "stranger silent list", args: []string{"list", "DIR/silent.sock", "-I", "testdata", "-proto", "chat.proto", "-timeout", "2s"}},
		{name: "stranger silent methods", args: []string{"list", "DIR/silent.sock", "a.B", "-timeout", "2s"}},
		{name: "stranger silent ping", args: []string{"ping", "DIR/silent.sock", "-timeout", "2s"}},
		{name: "stranger silent health", args: []string{"health", "DIR/silent.sock", "-timeout", "2s"}},
		{name: "stranger silent watch", args: []string{"health", "DIR/silent.sock", "-watch", "-timeout", "2s"}},
		{name: "stranger silent top", args: []string{"top", "DIR/silent.sock", "-timeout", "2s"}},
	} {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel() // each takes all of its time
			golden(t, l.name, runLine(t, dir, l.stdin, l.args...))
		})
	}
}

func TestHelp(t *testing.T) {
	lines := []line{
		{name: "help", args: []string{"-help"}},
		{name: "help nothing", args: []string{}},
		{name: "help unknown", args: []string{"cal"}},
		{name: "help nothing like it", args: []string{"xyz"}},
		{name: "help of unknown", args: []string{"help", "cal"}},
		{name: "completion bash", args: []string{"completion", "bash"}},
		{name: "completion none", args: []string{"completion", "fish"}},
	}
	for _, c := range commands() {
		lines = append(lines, line{name: "help " + c.name, args: []string{"help", c.name}})
		if len(c.examples) == 0 {
			t.Errorf("%s has no examples", c.name)
		}
	}
	checkLines(t, "DIR", lines)
}

func TestVersion(t *testing.T) {
	for _, arg := range []string{"version", "-version", "--version"} {
		if got := runLine(t, "DIR", "", arg); !strings.HasPrefix(got, "ttrpc ") || !strings.HasSuffix(got, "code 0\n") {
			t.Errorf("%s: %s", arg, got)
		}
	}
}

// An interrupt ends a call.
func TestInterrupt(t *testing.T) {
	dir := tempDir(t)
	startChat(t, dir, true)
	ctx, cancel := context.WithCancel(t.Context())
	timer := time.AfterFunc(0, cancel)
	defer timer.Stop()
	code := run(ctx, []string{"call", dir + "/chat.sock", "Chat/Greet", "-d", `{"name":"never"}`, "-timeout", "0"}, stdio{nil, io.Discard, io.Discard})
	if code == 0 {
		t.Error("exit code 0")
	}
}
