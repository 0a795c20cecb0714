package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/containerd/ttrpc/cmd/ttrpc/internal/schema"
)

// output prints messages in a format.
type output struct {
	w        io.Writer
	format   string
	defaults bool // fields with their default value are shown, too
	many     bool // there may be several messages
	types    schema.Types
}

var formats = []string{"json", "events", "text", "bin"}

// message prints one message.
func (o *output) message(m proto.Message) error {
	var text []byte
	var err error
	switch o.format {
	case "bin":
		if o.many {
			_, err = protodelim.MarshalTo(o.w, m)
			return err
		}
		text, err = proto.Marshal(m)
	case "text":
		shown, types := o.types.Opaque(m)
		text, err = prototext.MarshalOptions{Multiline: true, Resolver: types}.Marshal(shown)
		text = append(bytes.TrimRight(text, "\n"), '\n')
	case "events":
		return o.event("message", "message", o.json(m))
	default:
		var indented bytes.Buffer
		err = json.Indent(&indented, o.json(m), "", "  ")
		text = append(indented.Bytes(), '\n')
	}
	if err == nil {
		_, err = o.w.Write(text)
	}
	return err
}

// event prints one line that tells what has happened, and when.
func (o *output) event(name, key string, value json.RawMessage) error {
	if o.format != "events" {
		return nil
	}
	line := fmt.Sprintf(`{"time":%q,"event":%q`, time.Now().Format(time.RFC3339Nano), name)
	if value != nil {
		line += fmt.Sprintf(`,%q:%s`, key, value)
	}
	_, err := fmt.Fprintln(o.w, line+"}")
	return err
}

// json returns a message on one line. protojson varies its white space, this does not.
func (o *output) json(m proto.Message) json.RawMessage {
	return toJSON(m, o.types, o.defaults)
}

func toJSON(m proto.Message, types schema.Types, defaults bool) json.RawMessage {
	shown, types := types.Opaque(m)
	opts := protojson.MarshalOptions{Resolver: types, EmitUnpopulated: defaults}
	var compact bytes.Buffer
	text, err := opts.Marshal(shown)
	if err == nil {
		err = json.Compact(&compact, text)
	}
	if err != nil { // such as a time that is out of range
		data, _ := proto.Marshal(m)
		text, _ = json.Marshal(map[string]any{"error": err.Error(), "bytes": data})
		return text
	}
	return compact.Bytes()
}
