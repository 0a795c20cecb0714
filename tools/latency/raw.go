//go:build unix

package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const service = "latency.Service"

// raw is one side of a connection, by hand.
type raw struct {
	net.Conn
	in *bufio.Reader
}

func newRaw(conn net.Conn) *raw { return &raw{conn, bufio.NewReader(conn)} }

func (r *raw) send(id uint32, typ byte, m proto.Message) error {
	data, err := proto.Marshal(m)
	if err != nil {
		return err
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	b = binary.BigEndian.AppendUint32(b, id)
	_, err = r.Write(append(append(b, typ, 0), data...))
	return err
}

func (r *raw) recv(m proto.Message) (id uint32, err error) {
	var h [10]byte
	if _, err := io.ReadFull(r.in, h[:]); err != nil {
		return 0, err
	}
	data := make([]byte, binary.BigEndian.Uint32(h[:]))
	if _, err := io.ReadFull(r.in, data); err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint32(h[4:]), proto.Unmarshal(data, m)
}

func (r *raw) request(id uint32, method, in string) error {
	return r.send(id, 1, &ttrpc.Request{Service: service, Method: method, Payload: encode(in)})
}

func (r *raw) recvRequest() (id uint32, method, in string, err error) {
	var req ttrpc.Request
	id, err = r.recv(&req)
	return id, req.Method, decode(req.Payload), err
}

func (r *raw) answer(id uint32, out string) error {
	return r.send(id, 2, &ttrpc.Response{Payload: encode(out)})
}

func (r *raw) recvAnswer() (id uint32, out string, err error) {
	var resp ttrpc.Response
	if id, err = r.recv(&resp); err == nil && resp.Status != nil {
		err = fmt.Errorf("answer %d: %s", id, resp.Status.Message)
	}
	return id, decode(resp.Payload), err
}

func encode(s string) []byte {
	b, err := proto.Marshal(wrapperspb.String(s))
	if err != nil {
		panic(err)
	}
	return b
}

func decode(b []byte) string {
	var m wrapperspb.StringValue
	if err := proto.Unmarshal(b, &m); err != nil {
		panic(err)
	}
	return m.Value
}

// listen returns a listener in a folder of its own, and what removes that.
func listen() (net.Listener, func(), error) {
	dir, err := os.MkdirTemp("", "latency")
	if err != nil {
		return nil, nil, err
	}
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		os.RemoveAll(dir)
		return nil, nil, err
	}
	return l, func() { l.Close(); os.RemoveAll(dir) }, nil
}

// start runs a role in a process of its own, which connects to l: as a client, or as a server on
// that connection.
func start(role string, procs int, l net.Listener) (stop func(), err error) {
	cmd := exec.Command(os.Args[0], "child", role, l.Addr().String())
	cmd.Stderr = os.Stderr
	cmd.Env = os.Environ()
	if procs > 0 {
		cmd.Env = append(cmd.Env, fmt.Sprint("GOMAXPROCS=", procs))
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }, nil
}

// child is such a process. A role's name says after a slash that it computes on the side.
func child(role, addr string) error {
	role, busy, _ := strings.Cut(role, "/")
	if busy == "busy" {
		beBusy()
	}
	if role == "caller" {
		return beCaller(addr)
	}
	return beServer(addr)
}
