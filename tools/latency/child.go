//go:build unix

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	busyGoroutines = 4
	stamps         = 100 // calls of a measurement
	connections    = 2   // of a server: the one observed, and one to release it
)

var sink atomic.Uint64

// beBusy computes without end.
func beBusy() {
	for range busyGoroutines {
		go func() {
			for n := uint64(0); ; n++ {
				if n%(1<<20) == 0 {
					sink.Add(n)
				}
			}
		}()
	}
}

// beCaller makes a call that lasts and then calls one by one, each with the time at which it was
// made.
func beCaller(addr string) error {
	conn, err := net.Dial("unix", addr)
	if err != nil {
		return err
	}
	client := ttrpc.NewClient(conn)
	go func() { _, _ = call(client, "hold", "") }()
	for range stamps {
		if _, err := call(client, "stamp", stamp()); err != nil {
			return err
		}
	}
	return client.Close()
}

func stamp() string { return fmt.Sprint(time.Now().UnixNano()) }

// since is the time from a stamp of any process of this machine.
func since(stamp string) (time.Duration, error) {
	var nano int64
	_, err := fmt.Sscan(stamp, &nano)
	return time.Since(time.Unix(0, nano)), err
}

func call(c *ttrpc.Client, method, in string) (string, error) {
	out := new(wrapperspb.StringValue)
	err := c.Call(context.Background(), service, method, wrapperspb.String(in), out)
	return out.Value, err
}

// server is what beServer serves. work is quick, or slow by computing or in a system call, for 5 ms
// or until released.
type server struct {
	released atomic.Bool
	r, w     *os.File // a byte releases a system call
}

// beServer serves on connections that it makes itself.
func beServer(addr string) error {
	s, err := ttrpc.NewServer()
	if err != nil {
		return err
	}
	state := new(server)
	if state.r, state.w, err = os.Pipe(); err != nil {
		return err
	}
	state.r.Fd() // from now on a read blocks its thread
	s.Register(service, map[string]ttrpc.Method{
		"work":    unary(state.work),
		"release": unary(state.release),
		"echo":    unary(func(in string) string { return in }),
		"stamp":   unary(func(string) string { return stamp() }),
		"hold":    unary(func(string) string { select {} }),
	})
	l := &dialing{addr: addr}
	return s.Serve(context.Background(), l)
}

func unary(f func(string) string) ttrpc.Method {
	return func(_ context.Context, unmarshal func(any) error) (any, error) {
		in := new(wrapperspb.StringValue)
		if err := unmarshal(in); err != nil {
			return nil, err
		}
		return wrapperspb.String(f(in.Value)), nil
	}
}

func (s *server) work(in string) string {
	how, long, slow := strings.Cut(in, " ")
	if !slow {
		return ""
	}
	s.released.Store(false)
	if long == "5ms" {
		time.AfterFunc(5*time.Millisecond, func() { s.release("") })
	}
	if how == "computing" {
		for !s.released.Load() {
		}
	}
	_, _ = syscall.Read(int(s.r.Fd()), make([]byte, 1))
	return ""
}

func (s *server) release(string) string {
	s.released.Store(true)
	_, _ = s.w.Write([]byte{1})
	return ""
}

// dialing is a listener whose connections it makes itself.
type dialing struct {
	addr string
	made int
}

// Accept implements [net.Listener].
func (l *dialing) Accept() (net.Conn, error) {
	if l.made == connections {
		select {}
	}
	l.made++
	return net.Dial("unix", l.addr)
}

// Close implements [net.Listener].
func (l *dialing) Close() error { return nil }

// Addr implements [net.Listener].
func (l *dialing) Addr() net.Addr { return &net.UnixAddr{Name: l.addr, Net: "unix"} }
