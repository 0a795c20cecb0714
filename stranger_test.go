//go:build go1.25

package ttrpc_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/containerd/ttrpc"
)

// strangerWait is how long these tests wait for what should come at once: the calls have no
// deadline.
const strangerWait = time.Minute

// settings are what grpc-go's server has sent when a client's first byte comes.
const settings = "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00@\x00"

// foreignServers speak something else. A served conn is closed when its function returns; quoted
// and what are in the client's error.
var foreignServers = []struct {
	name         string
	serve        func(conn net.Conn)
	quoted, what string
}{
	{"gRPC", greet(settings), `"\x00\x00\x06\x04\x00`, "HTTP/2 (gRPC) settings frame"},
	{"gRPC leaves", greetAndClose(settings), `"\x00\x00\x06\x04\x00`, "HTTP/2 (gRPC) settings frame"},
	{"HTTP2 empty settings", greet("\x00\x00\x00\x04\x00\x00\x00\x00\x00"), `"\x00\x00\x00\x04\x00`,
		"HTTP/2 (gRPC) settings frame"},
	{"SMTP", greet("220 mail.example.com ESMTP\r\n"), `"220 mail.example.com ESMTP\r\n"`, "SMTP or FTP banner"},
	{"SMTP, under ten bytes", greet("220 x\r\n"), `"220 x\r\n"`, "SMTP or FTP banner"},
	{"SMTP leaves", greetAndClose("220 mail.example.com ESMTP\r\n"), `"220 mail.example.com ESMTP\r\n"`,
		"SMTP or FTP banner"},
	{"SSH", greet("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u6\r\n"), `"SSH-2.0-OpenSSH_9.2p1`, "SSH banner"},
	{"HTTP1", serveHTTP, `"HTTP/1.1 400 Bad Request\r\n`, "HTTP/1.1 response"},
	{"TLS alert", greet("\x15\x03\x03\x00\x02\x02\x28"), `"\x15\x03\x03\x00\x02\x02("`, "TLS alert"},
	{"PostgreSQL", greetAndClose("EFATAL:  unsupported frontend protocol 0.1\n\x00"),
		`"EFATAL:  unsupported frontend`, "PostgreSQL error"},
	{"unknown", greet("hello\n"), `"hello\n"`, ""},
	{"not printable", greet("\x1b[2J\xff\u202e"), `"\x1b[2J\xff\u202e"`, ""},
	{"over 16 MiB", greet("\x01\x00\x00\x00\x00\x00\x00\x01\x02\x00"), `"\x01\x00\x00\x00\x00\x00\x00\x01\x02\x00"`, ""},
	{"unknown type, over the limit", greet("\x00\x50\x00\x00\x00\x00\x00\x01\x09\x00"), `"\x00P\x00\x00`, ""},
}

func greet(banner string) func(net.Conn) {
	return func(conn net.Conn) {
		_, _ = io.WriteString(conn, banner)
		_, _ = io.Copy(io.Discard, conn)
	}
}

// greetAndClose closes with the client's request unread, as servers do that can't make sense of it.
func greetAndClose(banner string) func(net.Conn) {
	return func(conn net.Conn) {
		_, _ = io.WriteString(conn, banner)
		_, _ = io.ReadFull(conn, make([]byte, 1))
	}
}

// serveHTTP lets net/http serve one conn.
func serveHTTP(conn net.Conn) {
	l := &singleListener{conn: make(chan net.Conn, 1), done: make(chan struct{})}
	closed := make(chan struct{})
	s := &http.Server{ConnState: func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			close(closed)
		}
	}}
	l.conn <- conn
	go func() { <-closed; close(l.done) }()
	_ = s.Serve(l)
}

// singleListener accepts a conn and then none until done is closed.
type singleListener struct {
	conn chan net.Conn
	done chan struct{}
}

func (l *singleListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conn:
		return conn, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *singleListener) Close() error   { return nil }
func (l *singleListener) Addr() net.Addr { return &net.UnixAddr{Name: "single", Net: "unix"} }

// foreignListener serves each conn with a function, on a unix socket.
func foreignListener(t *testing.T, serve func(net.Conn)) net.Listener {
	t.Helper()
	l := strangerListener(t, "unix")
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	return l
}

func strangerListener(t *testing.T, network string) net.Listener {
	t.Helper()
	addr := "127.0.0.1:0"
	if network == "unix" {
		dir, err := os.MkdirTemp("", "t")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		addr = filepath.Join(dir, "s")
	}
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func strangerDial(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	conn, err := net.Dial(l.Addr().Network(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func strangerClient(t *testing.T, l net.Listener) *ttrpc.Client {
	t.Helper()
	c := ttrpc.NewClient(strangerDial(t, l))
	t.Cleanup(func() { c.Close() })
	return c
}

// callStranger makes a call without a deadline.
func callStranger(t *testing.T, c *ttrpc.Client) error {
	t.Helper()
	result := make(chan error, 1)
	go func() {
		req, resp := wrapperspb.String("hello!"), new(wrapperspb.StringValue)
		result <- c.Call(context.Background(), "test.Service", "echo", req, resp)
	}()
	return strangerSoon(t, result, "the call's end")
}

func strangerSoon[T any](t *testing.T, ch <-chan T, what string) T {
	t.Helper()
	timer := time.NewTimer(strangerWait)
	defer timer.Stop()
	select {
	case v := <-ch:
		return v
	case <-timer.C:
		t.Fatalf("waited in vain for %s", what)
	}
	panic("unreachable")
}

func wantInText(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("got %q, want %q in it", text, part)
		}
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) || len(text) > 1000 {
		t.Errorf("got %q, want bounded and printable text", text)
	}
}

// A client of a server of another kind waited for its deadline in silence.
func TestClientOfForeignServer(t *testing.T) {
	for _, s := range foreignServers {
		t.Run(s.name, func(t *testing.T) {
			frozen(t, func(t *testing.T) {
				c := strangerClient(t, foreignListener(t, s.serve))
				parts := []string{"the server does not speak ttrpc", s.quoted, s.what}
				for range 2 { // the second call finds the connection closed
					err := callStranger(t, c)
					if !errors.Is(err, ttrpc.ErrClosed) || !errors.Is(err, ttrpc.ErrProtocol) {
						t.Errorf("got error %v, want ErrClosed and ErrProtocol", err)
					}
					wantInText(t, fmt.Sprint(err), parts...)
				}
				if err := c.Err(); !errors.Is(err, ttrpc.ErrProtocol) {
					t.Errorf("got Client.Err %v, want ErrProtocol", err)
				}
			})
		})
	}
}

// A server that greets is noticed without a call, and the client's owner learns of it.
func TestIdleClientOfForeignServer(t *testing.T) {
	closed := make(chan struct{})
	c := ttrpc.NewClient(strangerDial(t, foreignListener(t, greet("220 x\r\n"))),
		ttrpc.WithOnClose(func() { close(closed) }))
	defer c.Close()
	strangerSoon(t, closed, "the end of the connection")
	wantInText(t, fmt.Sprint(c.Err()), "the server does not speak ttrpc", `"220 x\r\n"`)
}

// The text is that of releases v1.2.0 to v1.2.10, which fail the call and keep the connection.
func TestClientOfEchoServer(t *testing.T) {
	c := strangerClient(t, foreignListener(t, func(conn net.Conn) { _, _ = io.Copy(conn, conn) }))
	err := callStranger(t, c)
	if want := `unexpected "request" message received: protocol error`; fmt.Sprint(err) != want {
		t.Errorf("got error %v, want %s", err, want)
	}
	if !errors.Is(err, ttrpc.ErrProtocol) {
		t.Errorf("got error %v, want ErrProtocol", err)
	}
}

// Servers that close without a word: those of TLS do when they have read a ttrpc request.
func TestClientOfServerThatCloses(t *testing.T) {
	for name, serve := range map[string]func(net.Conn){
		"at once":           func(net.Conn) {},
		"after the request": func(conn net.Conn) { _, _ = conn.Read(make([]byte, 4096)) },
		"request unread":    func(conn net.Conn) { _, _ = io.ReadFull(conn, make([]byte, 1)) },
		"TLS": func(conn net.Conn) {
			_ = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{{}}}).Handshake()
		},
	} {
		t.Run(name, func(t *testing.T) {
			frozen(t, func(t *testing.T) {
				wantClosedBeforeAnswer(t, strangerClient(t, foreignListener(t, serve)))
			})
		})
	}
}

// wantClosedBeforeAnswer: the call's error is ErrClosed itself, which programs compare with,
// and the client's tells more.
func wantClosedBeforeAnswer(t *testing.T, c *ttrpc.Client) {
	t.Helper()
	if err := callStranger(t, c); err != ttrpc.ErrClosed {
		t.Errorf("got error %v, want exactly ErrClosed", err)
	}
	if err := c.Err(); !errors.Is(err, ttrpc.ErrClosed) || errors.Is(err, ttrpc.ErrProtocol) {
		t.Errorf("got error %v, want ErrClosed and not ErrProtocol", err)
	}
	wantInText(t, fmt.Sprint(c.Err()), "the server closed the connection before any answer")
}

// lineLogger is a logger that hands over each line as it comes.
type lineLogger chan string

func (l lineLogger) Warn(msg string, args ...any) {
	for i := 0; i+1 < len(args); i += 2 {
		msg += fmt.Sprintf(" %v=%v", args[i], args[i+1])
	}
	l <- msg
}

// loggingServer serves an echo and logs.
func loggingServer(t *testing.T, network string, opts ...ttrpc.ServerOpt) (net.Listener, lineLogger) {
	t.Helper()
	log := make(lineLogger, 100)
	s, err := ttrpc.NewServer(append(opts, ttrpc.WithServerLogger(log))...)
	if err != nil {
		t.Fatal(err)
	}
	echo := func(_ context.Context, unmarshal func(any) error) (any, error) {
		m := new(wrapperspb.StringValue)
		return m, unmarshal(m)
	}
	s.RegisterService("test.Service", &ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{"echo": echo}})
	l := strangerListener(t, network)
	served := make(chan error, 1)
	go func() { served <- s.Serve(context.Background(), l) }()
	t.Cleanup(func() {
		s.Close()
		<-served
	})
	return l, log
}

// whoAmI is what a server's log says of a peer that is this process.
func whoAmI(conn net.Conn) []string {
	switch {
	case conn.LocalAddr().Network() != "unix":
		return []string{conn.LocalAddr().String()}
	case runtime.GOOS == "linux":
		return []string{fmt.Sprintf("uid=%d", os.Geteuid()), fmt.Sprintf("gid=%d", os.Getegid()),
			fmt.Sprintf("pid=%d", os.Getpid())}
	}
	return nil
}

// A server said of a stranger no more than that his connection had ended, and only when it had.
// Here he stays: nothing is closed but by the server.
func TestServerOfStranger(t *testing.T) {
	const hello = "\x16\x03\x01\x01\x24\x01\x00\x01\x20\x03\x03"
	for _, s := range []struct{ name, network, first, quoted, what string }{
		{"echo hello", "unix", "hello\n", `"hello\n"`, ""},
		{"longer text", "unix", "hello, hello\n", `"hello, hello\n"`, ""},
		{"HTTP", "unix", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", `"GET / HTTP/1.1\r\nHost: x\r\n\r\n"`, "HTTP request"},
		{"TLS", "unix", hello, `"\x16\x03\x01\x01$\x01\x00`, "TLS handshake"},
		{"gRPC", "unix", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
			`"PRI * HTTP/2.0\r\n\r\nSM\r\n`, "HTTP/2 (gRPC) client preface"},
		{"SSH", "unix", "SSH-2.0-Go\r\n", `"SSH-2.0-Go\r\n"`, "SSH banner"},
		{"D-Bus", "unix", "\x00AUTH EXTERNAL 30\r\n", `"\x00AUTH EXTERNAL 30\r\n"`, "D-Bus authentication"},
		{"not printable", "unix", "\x1b[2J\nlevel=error", `"\x1b[2J\nlevel=error"`, ""},
		{"TCP", "tcp", "hello\n", `"hello\n"`, ""},
	} {
		t.Run(s.name, func(t *testing.T) {
			l, log := loggingServer(t, s.network)
			beside := strangerClient(t, l)
			conn := strangerDial(t, l)
			if _, err := io.WriteString(conn, s.first); err != nil {
				t.Fatal(err)
			}
			line := strangerSoon(t, log, "a line of the log")
			wantInText(t, line, append(whoAmI(conn), "the client does not speak ttrpc", s.quoted, s.what)...)
			wantSilentEnd(t, conn)
			if err := callStranger(t, beside); err != nil {
				t.Errorf("a client beside the stranger: %v", err)
			}
		})
	}
}

// wantSilentEnd reads the end of a connection that the server has closed without an answer.
func wantSilentEnd(t *testing.T, conn net.Conn) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(strangerWait)); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if len(answer) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got answer %q, %v; want the end of the connection alone", answer, err)
	}
}

// Ten zero bytes are how programs ask whether somebody is there: they are answered, and no
// strangers.
func TestProbeIsNoStranger(t *testing.T) {
	l, log := loggingServer(t, "unix")
	conn := strangerDial(t, l)
	if _, err := conn.Write(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(strangerWait)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 10)); err != nil {
		t.Fatalf("no answer: %v", err)
	}
	if err := callStranger(t, strangerClient(t, l)); err != nil {
		t.Fatal(err)
	}
	select {
	case line := <-log:
		t.Errorf("logged: %s", line)
	default:
	}
}

// strangerRefusal is a handshaker that refuses.
type strangerRefusal struct{ error }

func (r strangerRefusal) Handshake(context.Context, net.Conn) (net.Conn, any, error) {
	return nil, nil, r.error
}

func TestRefusedHandshake(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			frozen(t, func(t *testing.T) {
				l, log := loggingServer(t, network, ttrpc.WithServerHandshaker(strangerRefusal{errors.New("no entry")}))
				conn := strangerDial(t, l)
				line := strangerSoon(t, log, "a line of the log")
				wantInText(t, line, append(whoAmI(conn), "handshake failed", "no entry")...)
				wantSilentEnd(t, conn)
				wantClosedBeforeAnswer(t, strangerClient(t, l))
			})
		})
	}
}
