// Package dialer makes connections to targets: the addresses, as text, that Dial takes. It knows
// nothing of what is spoken on them.
package dialer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strconv"
	"strings"
)

// Func makes a connection to the target that it was made for.
type Func = func(ctx context.Context, target string) (net.Conn, error)

// schemes has for each the dialer of what stands behind it.
var schemes = []struct {
	name   string
	dialer func(address string) (Func, error)
}{
	{"unix", dialUnix},
	{"unix-abstract", func(name string) (Func, error) { return dialUnix("@" + strings.TrimPrefix(name, "\x00")) }},
	{"vsock", dialVsockAddress},
	{"hvsock", dialHybridAddress},
	{"tcp", func(address string) (Func, error) { return dialNet("tcp", address), nil }},
	{"npipe", refuseNamedPipe},
}

// Of reads a target, and returns what connects to it. Its error is that of a text which is no
// target, or is none on this system. There is no net/url in it, for one package less, and because
// paths of sockets are not escaped.
func Of(target string) (Func, error) {
	address := strings.TrimPrefix(target, "ttrpc+")
	for _, s := range schemes {
		if rest, ok := strings.CutPrefix(address, s.name+":"); ok {
			d, err := s.dialer(strings.TrimPrefix(rest, "//"))
			return d, targetError(target, err)
		}
	}
	d, err := dialPath(address)
	return d, targetError(target, err)
}

func targetError(target string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("ttrpc: target %q: %w", target, err)
}

var (
	errNoAddress = errors.New("there is no address in it")
	errScheme    = errors.New("its scheme is none that Dial knows: use WithDialer")
	errAmbiguous = errors.New("it is a path or an address: put unix: or tcp: before it")
	errNotVsock  = errors.New("it is not of the form vsock:CID:PORT, with two numbers below 2^32")
	errNotHybrid = errors.New("it is not of the form hvsock:PATH:PORT, with a number below 2^32")
)

// dialPath is for what has no scheme that is known.
func dialPath(address string) (Func, error) {
	isDrive := len(address) > 2 && address[1] == ':' && (address[2] == '\\' || address[2] == '/')
	switch {
	case strings.HasPrefix(address, `\\`):
		return refuseNamedPipe(address)
	case strings.Contains(address, "://"):
		return nil, errScheme
	case address != "" && strings.IndexByte("/.@\x00", address[0]) < 0 && !isDrive && strings.Contains(address, ":"):
		return nil, errAmbiguous
	}
	return dialUnix(address)
}

// refuseNamedPipe is for what os opens by name, and reads and writes by calls that block each other
// on a pipe, until Go 1.25.
func refuseNamedPipe(string) (Func, error) {
	return nil, fmt.Errorf("named pipes are not built in: use WithDialer with DialPipeContext of "+
		"github.com/Microsoft/go-winio, or give its conn to NewClient: %w", errors.ErrUnsupported)
}

// dialNet is the dialer of a network of package net.
func dialNet(network, address string) Func {
	return func(ctx context.Context, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}
}

// dialUnix takes a path, or an abstract name behind "@" or a zero byte.
func dialUnix(address string) (Func, error) {
	name, isAbstract := strings.CutPrefix(address, "\x00")
	if isAbstract {
		address = "@" + name
	}
	switch {
	case address == "" || address == "@":
		return nil, errNoAddress
	case address[0] == '@' && runtime.GOOS != "linux" && runtime.GOOS != "android":
		return nil, fmt.Errorf("abstract unix sockets exist on Linux alone: %w", errors.ErrUnsupported)
	}
	return dialNet("unix", address), nil
}

func dialVsockAddress(address string) (Func, error) {
	cidText, portText, ok := strings.Cut(address, ":")
	cid, errCID := strconv.ParseUint(cidText, 10, 32)
	port, errPort := strconv.ParseUint(portText, 10, 32)
	if !ok || errCID != nil || errPort != nil {
		return nil, errNotVsock
	}
	return func(ctx context.Context, _ string) (net.Conn, error) {
		return dialVsock(ctx, uint32(cid), uint32(port))
	}, nil
}

// dialHybridAddress takes the path of the hypervisor's socket, which may have colons, and a port.
func dialHybridAddress(address string) (Func, error) {
	colon := strings.LastIndexByte(address, ':')
	if colon < 1 {
		return nil, errNotHybrid
	}
	port, err := strconv.ParseUint(address[colon+1:], 10, 32)
	if err != nil {
		return nil, errNotHybrid
	}
	dial := dialNet("unix", address[:colon])
	return func(ctx context.Context, target string) (net.Conn, error) {
		conn, err := dial(ctx, target)
		if err != nil {
			return nil, err
		}
		if err := interruptible(ctx, conn, func() error { return connectHybrid(conn, port) }); err != nil {
			conn.Close()
			return nil, fmt.Errorf("CONNECT %d: %w", port, err)
		}
		return conn, nil
	}, nil
}
