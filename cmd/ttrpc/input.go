package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/containerd/ttrpc/cmd/ttrpc/internal/schema"
)

// input is a row of messages: JSON values, one behind the other, of each -d in turn.
type input struct {
	decs    []*json.Decoder // what is left, the first one in use
	closers []io.Closer
	types   schema.Types
	n       int
}

// openInput opens what each -d says: JSON, @file, or @- for the standard input.
func openInput(args texts, stdin io.Reader, types schema.Types) (*input, error) {
	in := &input{types: types}
	for _, arg := range args {
		r, err := in.open(arg, stdin)
		if err != nil {
			in.close()
			return nil, usagef("-d: %w", err)
		}
		in.decs = append(in.decs, json.NewDecoder(r))
	}
	return in, nil
}

func (in *input) open(arg string, stdin io.Reader) (io.Reader, error) {
	switch name, isFile := strings.CutPrefix(arg, "@"); {
	case !isFile:
		return strings.NewReader(arg), nil
	case name == "-":
		return stdin, nil
	default:
		f, err := os.Open(name)
		if err == nil {
			in.closers = append(in.closers, f)
		}
		return f, err
	}
}

func (in *input) close() {
	for _, c := range in.closers {
		_ = c.Close() // it was read only
	}
}

// next returns the next message, or io.EOF.
func (in *input) next(md protoreflect.MessageDescriptor) (*dynamicpb.Message, error) {
	var raw json.RawMessage
	err := io.EOF
	for err == io.EOF && len(in.decs) > 0 {
		if err = in.decs[0].Decode(&raw); err == io.EOF {
			in.decs = in.decs[1:]
		}
	}
	if err == io.EOF {
		return nil, err
	}
	if err != nil {
		return nil, in.failed(err)
	}
	in.n++
	m := dynamicpb.NewMessage(md)
	if err := (protojson.UnmarshalOptions{Resolver: in.types}).Unmarshal(raw, m); err != nil {
		return nil, usagef("message %d of the input is no %s: %w (ttrpc describe shows its fields)", in.n, md.FullName(), err)
	}
	return m, nil
}

// failed tells input that can't be read from such as is no JSON.
func (in *input) failed(err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &syntax), errors.Is(err, io.ErrUnexpectedEOF):
		return usagef("message %d of the input is no JSON: %w", in.n+1, err)
	}
	return usagef("the input: %w", err)
}

// first returns the first message, and an empty one where there is no input.
func (in *input) first(md protoreflect.MessageDescriptor) (*dynamicpb.Message, error) {
	m, err := in.next(md)
	if err == io.EOF && in.n == 0 {
		in.n++
		return dynamicpb.NewMessage(md), nil
	}
	return m, err
}
