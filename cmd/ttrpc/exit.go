package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/code"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/containerd/ttrpc"
)

// The exit codes that are no status.
const (
	exitUsage      = 1
	exitConnection = 2
	exitStatus     = 64 // and the status's code
)

// usageError is a command line, or an input, that can't be used.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// connectionError is a connection that could not be made, or that broke.
type connectionError struct{ error }

func (e connectionError) Unwrap() error { return e.error }

// statusError is the failure of a call, with what prints its details.
type statusError struct {
	error
	json func(proto.Message) json.RawMessage
}

func (e statusError) Unwrap() error { return e.error }

// report prints an error and returns the exit code.
func report(err error, w io.Writer) int {
	var se statusError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &se):
		fmt.Fprintf(w, "%s\n", statusOf(se))
		return exitStatus + int(ttrpc.StatusOf(se.error).Code())
	case isConnection(err):
		fmt.Fprintf(w, "ttrpc: %s\n", strings.TrimPrefix(err.Error(), "ttrpc: "))
		return exitConnection
	}
	fmt.Fprintf(w, "ttrpc: %s\n", strings.TrimPrefix(err.Error(), "ttrpc: "))
	return exitUsage
}

// statusJSON is a status as Google's APIs show it.
func statusJSON(st *spb.Status, detail func(proto.Message) json.RawMessage) []byte {
	shown := struct {
		Code    int32             `json:"code"`
		Status  string            `json:"status"`
		Message string            `json:"message"`
		Details []json.RawMessage `json:"details,omitempty"`
	}{Code: st.GetCode(), Status: code.Code(st.GetCode()).String(), Message: st.GetMessage()}
	for _, d := range st.GetDetails() {
		shown.Details = append(shown.Details, detail(d))
	}
	text, err := json.Marshal(shown)
	if err != nil {
		return []byte(fmt.Sprintf("%q", st.GetMessage()))
	}
	return text
}

// callError tells a connection's failure from a call's: the server's status, or a time-out.
func callError(err error, show func(proto.Message) json.RawMessage) error {
	if err == nil {
		return nil
	}
	if isConnection(err) {
		return connectionError{err}
	}
	return statusError{err, show}
}

// absent says plainly that a server does not have a service, or a method, whose name alone is what
// servers say.
func absent(err error, service, method string) error {
	st := ttrpc.StatusOf(err)
	refused := st.Code() == codes.Unimplemented || st.Code() == codes.NotFound // the latter in v1.0
	switch {
	case refused && st.Message() == "service "+service:
		return status.Errorf(st.Code(), "the server does not have the service %s", service)
	case refused && method != "" && st.Message() == "method "+method:
		return status.Errorf(st.Code(), "the server's %s does not have the method %s", service, method)
	case st.Code() == codes.InvalidArgument && method == "" &&
		strings.HasSuffix(st.Message(), " does not exist"): // the Rust crate
		return status.Errorf(st.Code(), "the server does not have the service %s", service)
	}
	return err
}

func statusOf(se statusError) []byte { return statusJSON(plainStatus(se.error).Proto(), se.json) }

// plainStatus is the status of an error, without the text "rpc error", which those have that wrap
// one.
func plainStatus(err error) *status.Status {
	st := ttrpc.StatusOf(err)
	var inner interface {
		error
		GRPCStatus() *status.Status
	}
	if errors.As(err, &inner) && st.Message() == inner.Error() {
		return inner.GRPCStatus()
	}
	return st
}

// isConnection reports whether an error is a connection's, in place of one call's.
func isConnection(err error) bool {
	var ce connectionError
	return errors.As(err, &ce) || errors.Is(err, ttrpc.ErrClosed)
}
