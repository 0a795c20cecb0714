//go:build go1.25

package ttrpc_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/containerd/ttrpc"
)

func dialClient(t testing.TB, target string, opts ...ttrpc.ClientOpts) *ttrpc.Client {
	t.Helper()
	c, err := ttrpc.Dial(bg, target, opts...)
	check(t, err)
	t.Cleanup(func() { check(t, c.Close()); check(t, c.UserOnCloseWait(bg)) })
	return c
}

func TestDialUnix(t *testing.T) {
	r := serve(t)
	path := r.l.Addr().String()
	for _, form := range []string{"%s", "unix:%s", "unix://%s", "ttrpc+unix://%s"} {
		wantEcho(t, dialClient(t, fmt.Sprintf(form, path)))
	}
	t.Chdir(filepath.Dir(path))
	for _, target := range []string{"./s", "s", "unix:s", "unix://s"} {
		wantEcho(t, dialClient(t, target))
	}
}

func TestDialAbstractUnix(t *testing.T) {
	if runtime.GOOS != "linux" {
		for _, target := range []string{"@x", "unix-abstract:x"} {
			_, err := ttrpc.Dial(bg, target)
			wantIs(t, err, errors.ErrUnsupported)
		}
		return
	}
	name := "ttrpc-" + filepath.Base(shortTempDir(t)) + "/a:b"
	l, err := net.Listen("unix", "@"+name)
	check(t, err)
	serve(t, l)
	for _, form := range []string{"@%s", "\x00%s", "unix:@%s", "unix://\x00%s", "unix-abstract:%s", "unix-abstract:\x00%s"} {
		wantEcho(t, dialClient(t, fmt.Sprintf(form, name)))
	}
}

func TestDialTCP(t *testing.T) {
	r := serve(t, network("tcp"))
	for _, form := range []string{"tcp:%s", "tcp://%s"} {
		wantEcho(t, dialClient(t, fmt.Sprintf(form, r.l.Addr())))
	}
}

// The errors of Dial itself say what is wrong with the target.
func TestDialTargets(t *testing.T) {
	for target, want := range map[string]string{
		"":                     "there is no address in it",
		"unix://":              "there is no address in it",
		"unix-abstract:":       "there is no address in it",
		"localhost:1234":       "it is a path or an address: put unix: or tcp: before it",
		"http://x":             "its scheme is none that Dial knows: use WithDialer",
		"grpc+unix:///x":       "its scheme is none that Dial knows: use WithDialer",
		"vsock:3":              "it is not of the form vsock:CID:PORT, with two numbers below 2^32",
		"vsock://3:4294967296": "it is not of the form vsock:CID:PORT, with two numbers below 2^32",
		"vsock:-1:5":           "it is not of the form vsock:CID:PORT, with two numbers below 2^32",
		"hvsock:///a":          "it is not of the form hvsock:PATH:PORT, with a number below 2^32",
		"hvsock:///a:b":        "it is not of the form hvsock:PATH:PORT, with a number below 2^32",
		"hvsock::5":            "it is not of the form hvsock:PATH:PORT, with a number below 2^32",
	} {
		_, err := ttrpc.Dial(bg, target)
		if err == nil || err.Error() != fmt.Sprintf("ttrpc: target %q: %s", target, want) {
			t.Errorf("%s: %v", target, err)
		}
	}
	for _, target := range []string{`\\.\pipe\x`, "npipe:////./pipe/x", `npipe://\\.\pipe\x`} {
		_, err := ttrpc.Dial(bg, target)
		wantIs(t, err, errors.ErrUnsupported)
		if !strings.Contains(err.Error(), "github.com/Microsoft/go-winio") {
			t.Errorf("%s: %v", target, err)
		}
	}
	for _, target := range []string{`C:\x`, "c:/x", "/a:b", "./a:b", "vsock:3:1024", "ttrpc+vsock://3:1024", "hvsock:/a:b:1"} {
		dialClient(t, target)
	}
}

// Errors of attempts name the target, the step and the cause.
func TestDialErrors(t *testing.T) {
	missing := filepath.Join(shortTempDir(t), "missing")
	c := dialClient(t, "unix://"+missing)
	_, err := call(bg, c, "echo", "")
	wantNoConn(t, err, fs.ErrNotExist)
	if runtime.GOOS == "linux" {
		equal(t, err.Error(), "ttrpc: no connection to unix://"+missing+": dial unix "+missing+": connect: no such file or directory")
	}
	l := listen(t, "unix")
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	_, err = call(bg, dialClient(t, l.Addr().String()), "echo", "")
	wantNoConn(t, err, syscall.ECONNREFUSED)
}

// hypervisor takes connections as that of a hybrid vsock does: connect gets the request line and
// answers. Where it returns true, the connection goes on to a server.
func hypervisor(t *testing.T, connect func(conn net.Conn, line string) bool) (path string) {
	l, inside := listen(t, "unix"), make(chan net.Conn)
	serve(t, &pipeListener{conns: inside, done: make(chan struct{})})
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			line, err := bufio.NewReaderSize(conn, 16).ReadString('\n')
			if err == nil && connect(conn, line) {
				inside <- conn
			} else {
				conn.Close()
			}
		}
	}()
	return l.Addr().String()
}

func TestDialHybridVsock(t *testing.T) {
	path := hypervisor(t, func(conn net.Conn, line string) bool {
		_, err := conn.Write([]byte("OK 1073741824\n"))
		return err == nil && line == "CONNECT 1024\n"
	})
	for _, form := range []string{"hvsock:%s:1024", "hvsock://%s:1024", "ttrpc+hvsock://%s:1024"} {
		wantEcho(t, dialClient(t, fmt.Sprintf(form, path)))
	}
}

func TestDialHybridVsockRefused(t *testing.T) {
	answers := make(chan string, 1)
	path := hypervisor(t, func(conn net.Conn, _ string) bool {
		_, _ = conn.Write([]byte(<-answers))
		return false
	})
	for answer, want := range map[string]string{
		"":                        "the hypervisor has closed the connection: nobody listens on that port of the guest (EOF)",
		"OK 1":                    "the hypervisor has closed the connection: nobody listens on that port of the guest (EOF)",
		"ERR no\n":                `the answer is not "OK" but "ERR no"`,
		"OKAY\n":                  `the answer is not "OK" but "OKAY"`,
		strings.Repeat("x", 1000): `the answer is not "OK" but "` + strings.Repeat("x", 64) + `"`,
	} {
		answers <- answer
		target := "hvsock:" + path + ":52"
		_, err := call(bg, dialClient(t, target), "echo", "")
		wantIs(t, err, ttrpc.ErrClosed)
		equal(t, err.Error(), "ttrpc: no connection to "+target+": CONNECT 52: "+want)
		equal(t, errors.Is(err, io.EOF), strings.HasSuffix(want, "(EOF)"))
	}
}

// A hypervisor that says nothing costs an attempt, and Close ends it at once.
func TestDialSilentHybridVsock(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	path := hypervisor(t, func(net.Conn, string) bool { asked <- struct{}{}; <-release; return false })
	c := dialClient(t, "hvsock:"+path+":52")
	result := goCall(bg, c, "echo", "")
	wait(t, asked, "the request")
	check(t, c.Close())
	wantNoConn(t, wait(t, result, "the call"), net.ErrClosed)
	check(t, c.UserOnCloseWait(bg))
	close(release)
}

// An address that can't be had is the error of the calls.
func TestDialVsockFailsItsCallsAlone(t *testing.T) {
	ctx, cancel := context.WithCancel(bg)
	c := dialClient(t, "vsock:1:4294967295", ttrpc.WithStateCallback(func(s ttrpc.ConnState, _ error) {
		if s == ttrpc.StateConnecting {
			cancel() // where nobody answers that takes the kernel two seconds
		}
	}))
	_, err := call(ctx, c, "echo", "")
	equal(t, ttrpc.NotSent(err), true)
}

// A program that does not call Dial links nothing of it.
func TestDialIsLinkedByUseAlone(t *testing.T) {
	ofDial := regexp.MustCompile(`ttrpc(/internal/dialer\.(Of|dial|connect)|/internal/redial\.(\(\*Redialer|chance|New)|\.(\(\*reconnector\)|dial|Dial|forDial|WithDialer))`)
	for _, tags := range []string{"", "dial"} {
		program := filepath.Join(t.TempDir(), "weight")
		goCommand(t, "build", "-ldflags=-w", "-tags="+tags, "-o", program, "./testdata/weight")
		symbols, err := exec.Command("go", "tool", "nm", program).Output()
		check(t, err)
		if !strings.Contains(string(symbols), "ttrpc.NewClient") {
			t.Fatal("these are not the symbols of the program")
		}
		if found := ofDial.FindAllString(string(symbols), -1); len(found) > 0 != (tags == "dial") {
			t.Errorf("-tags=%s links %q", tags, found)
		}
	}
}
