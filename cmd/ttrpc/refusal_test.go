package main

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/containerd/ttrpc"
)

// refuse has a server answer calls of a service's method "-" as another implementation does where
// there is no such thing.
func refuse(t *testing.T, path, service string, code codes.Code, text string) {
	startServer(t, path, func(s *ttrpc.Server) {
		s.Register(service, map[string]ttrpc.Method{
			"-": func(context.Context, func(any) error) (any, error) { return nil, status.Error(code, text) },
		})
	})
}

// Servers of v1.0 refuse by NotFound, and those of the Rust crate by InvalidArgument.
func TestPingIsRefused(t *testing.T) {
	for code, exit := range map[codes.Code]string{
		codes.NotFound: "code 0\n", codes.InvalidArgument: "code 0\n", codes.Unavailable: "code 78\n",
	} {
		dir := tempDir(t)
		refuse(t, filepath.Join(dir, "x.sock"), "-", code, "no")
		if got := runLine(t, dir, "", "ping", "DIR/x.sock"); !strings.HasSuffix(got, exit) {
			t.Errorf("%v: want exit %sgot:\n%s", code, exit, got)
		}
	}
}

// A server of v1.0 says NotFound of methods and services, and the text tells which.
func TestListOfV10(t *testing.T) {
	for text, listed := range map[string]bool{"method -": true, "service " + chatName: false} {
		dir := tempDir(t)
		refuse(t, filepath.Join(dir, "x.sock"), chatName, codes.NotFound, text)
		got := runLine(t, dir, "", "list", "DIR/x.sock", "-I", "testdata", "-proto", "chat.proto")
		if strings.HasPrefix(got, chatName) != listed {
			t.Errorf("%q: listed should be %t:\n%s", text, listed, got)
		}
	}
}

// A blocking server of the Rust crate answers alike, whether it has the service or not.
func TestListOfBlockingRust(t *testing.T) {
	dir := tempDir(t)
	refuse(t, filepath.Join(dir, "x.sock"), chatName, codes.InvalidArgument, "/"+chatName+"/- does not exist")
	checkLines(t, dir, []line{
		{name: "list blocking Rust", args: []string{"list", "DIR/x.sock", "-I", "testdata", "-proto", "chat.proto"}},
	})
}
