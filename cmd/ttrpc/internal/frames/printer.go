package frames

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/internal/codec"
)

// Printer prints frames, a line each.
type Printer struct {
	W io.Writer
	// Method finds a method; it returns nil for one that nobody knows. Both may be nil.
	Method func(service, method string) protoreflect.MethodDescriptor
	// JSON prints a message on one line.
	JSON func(proto.Message) json.RawMessage

	mu    sync.Mutex // guards calls and the order of lines
	calls map[key]protoreflect.MethodDescriptor
}

type key struct {
	conn int
	id   uint32
}

// Print prints one frame.
func (p *Printer) Print(f *Frame) {
	p.mu.Lock()
	defer p.mu.Unlock()
	conn := ""
	if f.Conn != 0 {
		conn = fmt.Sprintf("#%d ", f.Conn)
	}
	at := "-"
	if !f.Time.IsZero() {
		at = f.Time.Format("15:04:05.000000")
	}
	dir := f.Dir
	if dir == "" {
		dir = "-"
	}
	line := fmt.Sprintf("%s %s%s id=%d %s flags=%s len=%d", at, conn, dir, f.ID, f.TypeName(), f.FlagNames(), len(f.Data))
	fmt.Fprintln(p.W, strings.TrimRight(line+" "+p.contentLocked(f), " "))
}

// Wrong prints that bytes are no frames.
func (p *Printer) Wrong(dir string, data []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.W, "%s %s these bytes are no ttrpc: %.80q\n", time.Now().Format("15:04:05.000000"), dir, data)
}

func (p *Printer) contentLocked(f *Frame) string {
	k := key{f.Conn, f.ID}
	switch {
	case f.Type == Request:
		return p.requestLocked(k, f)
	case f.Type == Response:
		return p.response(p.calls[k], f)
	case f.Type == Data && f.Flag&NoData == 0:
		return p.message(p.calls[k], f.Dir == ToServer, f.Data)
	}
	return ""
}

func (p *Printer) requestLocked(k key, f *Frame) string {
	req := new(ttrpc.Request)
	if err := proto.Unmarshal(f.Data, req); err != nil {
		return fmt.Sprintf("is no Request: %v", err)
	}
	md := p.find(req)
	if p.calls == nil {
		p.calls = map[key]protoreflect.MethodDescriptor{}
	}
	p.calls[k] = md
	text := req.GetService() + "/" + req.GetMethod()
	if req.GetTimeoutNano() != 0 {
		text += " timeout=" + time.Duration(req.GetTimeoutNano()).String()
	}
	for _, kv := range req.GetMetadata() {
		text += fmt.Sprintf(" %s:%q", kv.GetKey(), kv.GetValue())
	}
	if f.Flag&NoData != 0 {
		return text
	}
	return text + " " + p.message(md, true, req.GetPayload())
}

func (p *Printer) find(req *ttrpc.Request) protoreflect.MethodDescriptor {
	if p.Method == nil {
		return nil
	}
	return p.Method(req.GetService(), req.GetMethod())
}

func (p *Printer) response(md protoreflect.MethodDescriptor, f *Frame) string {
	resp := new(ttrpc.Response)
	if err := proto.Unmarshal(f.Data, resp); err != nil {
		return fmt.Sprintf("is no Response: %v", err)
	}
	if st := resp.GetStatus(); st.GetCode() != 0 {
		if p.JSON == nil {
			return fmt.Sprintf("status %d %q", st.GetCode(), st.GetMessage())
		}
		return "status " + string(p.JSON(st))
	}
	return p.message(md, false, resp.GetPayload())
}

// message returns a message on one line: its bytes where its type is not known.
func (p *Printer) message(md protoreflect.MethodDescriptor, request bool, data []byte) string {
	if md == nil || p.JSON == nil {
		return unknown(data)
	}
	desc := md.Output()
	if request {
		desc = md.Input()
	}
	m := dynamicpb.NewMessage(desc)
	if desc.IsPlaceholder() || codec.Decode(data, m) != nil {
		return unknown(data)
	}
	return string(p.JSON(m))
}

func unknown(data []byte) string {
	if len(data) > 64 {
		return fmt.Sprintf("%x... (%d bytes)", data[:64], len(data))
	}
	return fmt.Sprintf("%x", data)
}
