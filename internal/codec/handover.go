package codec

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// The protobuf module copies each bytes field out of what it decodes. Where one such field is most
// of a large message, it costs less to let the message have the memory that it was received in:
// what stands before and behind the field is decoded as always, and the field becomes a slice of
// that memory, with no capacity beyond it. So the message alone owns the memory then, and holds
// less than twice as much as it needs.
const (
	minHandover  = 32 << 10 // bytes of an encoded message from which on it pays
	maxLookedAt  = 32       // fields of a message up to the large one
	maxInMessage = 4        // messages in each other around the large field, the outermost not counted
)

// Memory is where an encoded message lies, such as a frame's buffer.
type Memory interface {
	// Cap is its size in bytes.
	Cap() int
	// Abandon says that a message has a part of it: what lies behind may be read on, but nobody may
	// write into it, or use it again.
	Abandon()
}

// DecodeFrom is [Decode] for bytes that nobody else needs any more: a plain message may keep a part
// of the memory that they lie in, which is abandoned then.
func DecodeFrom(mem Memory, b []byte, m any) error {
	p, ok := m.(proto.Message)
	if len(b) < minHandover || !ok || IsNil(m) {
		return Decode(b, m)
	}
	if r := p.ProtoReflect(); r.IsValid() && isPlain(r) && handOver(mem, b, r) {
		return nil
	}
	return Decode(b, m)
}

// handOver decodes b into m, with what the protobuf module would make of it. It reports false where
// there is no field to hand over, and for a message that is faulty, of which the module has to say
// more.
func handOver(mem Memory, b []byte, m protoreflect.Message) bool {
	h := handover{mem, max(len(b), mem.Cap()) / 2}
	if !h.finds(b, m.Descriptor()) {
		return false
	}
	proto.Reset(m.Interface())
	return h.decode(b, m, 0) == nil && proto.CheckInitialized(m.Interface()) == nil
}

// handover decodes a message one of whose fields gets a part of mem.
type handover struct {
	mem  Memory
	more int // a field is large that has more bytes: there is no second one
}

// finds reports whether there is a field to hand over: the protobuf module decodes all other
// messages in one go.
func (h handover) finds(b []byte, d protoreflect.MessageDescriptor) bool {
	for range maxInMessage + 1 {
		f, fd := h.large(b, d)
		if fd == nil || fd.Message() == nil {
			return fd != nil
		}
		b, d = b[f.body:f.end], fd.Message()
	}
	return false
}

// decode merges b into m, which is in so many messages.
func (h handover) decode(b []byte, m protoreflect.Message, in int) error {
	f, fd := h.large(b, m.Descriptor())
	if fd == nil {
		return merge(b, m, in)
	}
	if err := merge(b[:f.start], m, in); err != nil {
		return err
	}
	if fd.Message() == nil {
		h.mem.Abandon()
		m.Set(fd, protoreflect.ValueOfBytes(b[f.body:f.end:f.end]))
	} else if err := h.decode(b[f.body:f.end], m.Mutable(fd).Message(), in+1); err != nil {
		return err
	}
	return merge(b[f.end:], m, in)
}

// merge has the protobuf module decode a part of a message, which may still lack fields then.
func merge(b []byte, m protoreflect.Message, in int) error {
	if len(b) == 0 {
		return nil
	}
	o := proto.UnmarshalOptions{Merge: true, AllowPartial: true, RecursionLimit: protowire.DefaultRecursionLimit - in}
	return o.Unmarshal(b, m.Interface())
}

// place is where a field lies in a message: its tag, its bytes, and where they end.
type place struct{ start, body, end int }

// large finds the large field of a message of type d. It returns nil where that is neither a bytes
// field nor a message, where it is one of a list or a map, and where there is none.
func (h handover) large(b []byte, d protoreflect.MessageDescriptor) (f place, _ protoreflect.FieldDescriptor) {
	for n := 0; n < maxLookedAt && len(b)-f.start > h.more; n++ {
		num, typ, tag := protowire.ConsumeTag(b[f.start:])
		if tag < 0 {
			return f, nil
		}
		size := protowire.ConsumeFieldValue(num, typ, b[f.start+tag:])
		if size < 0 {
			return f, nil
		}
		f.end = f.start + tag + size
		if v, _ := protowire.ConsumeBytes(b[f.start+tag : f.end]); typ == protowire.BytesType && len(v) > h.more {
			f.body = f.end - len(v)
			return f, single(d.Fields().ByNumber(num))
		}
		f.start = f.end
	}
	return f, nil
}

// single returns fd if it is a single bytes field or a single message.
func single(fd protoreflect.FieldDescriptor) protoreflect.FieldDescriptor {
	if fd == nil || fd.Cardinality() == protoreflect.Repeated {
		return nil
	}
	if k := fd.Kind(); k != protoreflect.BytesKind && k != protoreflect.MessageKind {
		return nil
	}
	return fd
}
