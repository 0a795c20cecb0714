//go:build go1.25

package codec

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/runtime/protoimpl"
)

// crowd has fields of every kind around those that may be handed over, as proto2 has them.
type crowd struct {
	Data             []byte            `protobuf:"bytes,1,opt,name=data"`
	List             [][]byte          `protobuf:"bytes,2,rep,name=list"`
	Map              map[string][]byte `protobuf:"bytes,3,rep,name=map" protobuf_key:"bytes,1,opt,name=key" protobuf_val:"bytes,2,opt,name=value"`
	Inner            *crowd            `protobuf:"bytes,4,opt,name=inner"`
	Group            *crowdGroup       `protobuf:"group,5,opt,name=Group"`
	Choice           isCrowdChoice     `protobuf_oneof:"choice"`
	Text             *string           `protobuf:"bytes,9,opt,name=text"`
	Need             *int32            `protobuf:"varint,10,req,name=need"`
	Inners           []*crowd          `protobuf:"bytes,11,rep,name=inners"`
	Numbers          []int32           `protobuf:"varint,12,rep,packed,name=numbers"`
	NeedData         []byte            `protobuf:"bytes,13,req,name=need_data"`
	XXX_unrecognized []byte
}

type crowdGroup struct {
	Data             []byte `protobuf:"bytes,1,opt,name=data"`
	XXX_unrecognized []byte
}

type (
	isCrowdChoice interface{ isCrowdChoice() }
	crowdBytes    struct {
		Bytes []byte `protobuf:"bytes,6,opt,name=bytes,oneof"`
	}
	crowdString struct {
		String string `protobuf:"bytes,7,opt,name=string,oneof"`
	}
	crowdMessage struct {
		Message *crowd `protobuf:"bytes,8,opt,name=message,oneof"`
	}
)

func (*crowdBytes) isCrowdChoice()   {}
func (*crowdString) isCrowdChoice()  {}
func (*crowdMessage) isCrowdChoice() {}

func (m *crowd) Reset()       { *m = crowd{} }
func (*crowd) String() string { return "" }
func (*crowd) ProtoMessage()  {}
func (*crowd) XXX_OneofWrappers() []any {
	return []any{(*crowdBytes)(nil), (*crowdString)(nil), (*crowdMessage)(nil)}
}
func (m *crowdGroup) Reset()       { *m = crowdGroup{} }
func (*crowdGroup) String() string { return "" }
func (*crowdGroup) ProtoMessage()  {}

// crowd3 has the fields without presence of proto3, and an optional one.
type crowd3 struct {
	Data             []byte   `protobuf:"bytes,1,opt,name=data,proto3"`
	List             [][]byte `protobuf:"bytes,2,rep,name=list,proto3"`
	Inner            *crowd3  `protobuf:"bytes,4,opt,name=inner,proto3"`
	Text             string   `protobuf:"bytes,9,opt,name=text,proto3"`
	Number           int32    `protobuf:"varint,10,opt,name=number,proto3"`
	XXX_unrecognized []byte
}

func (m *crowd3) Reset()       { *m = crowd3{} }
func (*crowd3) String() string { return "" }
func (*crowd3) ProtoMessage()  {}

// reflectedOf is m as the protobuf module works on it.
func reflectedOf(m any) proto.Message { return protoimpl.X.ProtoMessageV2Of(m) }

// memory is where a test's message lies.
type memory struct {
	cap       int
	abandoned bool
}

func (m *memory) Cap() int { return m.cap }
func (m *memory) Abandon() { m.abandoned = true }

// handedOver returns the bytes field of m, or of a message in it, that lies in b.
func handedOver(m protoreflect.Message, b []byte) (found []byte) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.Cardinality() == protoreflect.Repeated:
		case fd.Message() != nil:
			found = handedOver(v.Message(), b)
		case fd.Kind() == protoreflect.BytesKind && offset(v.Bytes(), b) >= 0:
			found = v.Bytes()
		}
		return found == nil
	})
	return found
}

// offset is where the slice part begins in b, -1 if it does not lie in there.
func offset(part, b []byte) int {
	for i := range b {
		if len(part) > 0 && &part[0] == &b[i] {
			return i
		}
	}
	return -1
}
