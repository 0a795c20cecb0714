package main

import (
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

// input is a row of messages: JSON values, one behind the other.
type input struct {
	dec   *json.Decoder
	close func() error
	types schema.Types
	n     int
}

// openInput opens what -d says: JSON, @file, or @- for the standard input.
func openInput(arg string, stdin io.Reader, types schema.Types) (*input, error) {
	r, closeIt := io.Reader(strings.NewReader(arg)), func() error { return nil }
	if name, isFile := strings.CutPrefix(arg, "@"); isFile && name == "-" {
		r = stdin
	} else if isFile {
		f, err := os.Open(name)
		if err != nil {
			return nil, usagef("-d: %w", err)
		}
		r, closeIt = f, f.Close
	}
	return &input{dec: json.NewDecoder(r), close: closeIt, types: types}, nil
}

// next returns the next message, or io.EOF.
func (in *input) next(md protoreflect.MessageDescriptor) (*dynamicpb.Message, error) {
	var raw json.RawMessage
	if err := in.dec.Decode(&raw); errors.Is(err, io.EOF) {
		return nil, io.EOF
	} else if err != nil {
		return nil, usagef("message %d of the input is no JSON: %w", in.n+1, err)
	}
	in.n++
	m := dynamicpb.NewMessage(md)
	if err := (protojson.UnmarshalOptions{Resolver: in.types}).Unmarshal(raw, m); err != nil {
		return nil, usagef("message %d of the input is no %s: %w", in.n, md.FullName(), err)
	}
	return m, nil
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
