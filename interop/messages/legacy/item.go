// Package item is written as github.com/golang/protobuf v1 generated code until 2019: a
// struct with protobuf tags, and nothing that reflects on it.
package item

import "fmt"

type Item_Kind int32

type Item struct {
	Text   string            `protobuf:"bytes,1,opt,name=text,proto3" json:"text,omitempty"`
	Data   []byte            `protobuf:"bytes,2,opt,name=data,proto3" json:"data,omitempty"`
	Number int64             `protobuf:"varint,3,opt,name=number,proto3" json:"number,omitempty"`
	List   []string          `protobuf:"bytes,4,rep,name=list,proto3" json:"list,omitempty"`
	Labels map[string]string `protobuf:"bytes,5,rep,name=labels,proto3" json:"labels,omitempty" protobuf_key:"bytes,1,opt,name=key,proto3" protobuf_val:"bytes,2,opt,name=value,proto3"`
	Inner  *Item             `protobuf:"bytes,6,opt,name=inner,proto3" json:"inner,omitempty"`
	Kind   Item_Kind         `protobuf:"varint,7,opt,name=kind,proto3,enum=ttrpc.interop.legacy.Item_Kind" json:"kind,omitempty"`
	Ratio  float64           `protobuf:"fixed64,8,opt,name=ratio,proto3" json:"ratio,omitempty"`
	// Types that are valid to be assigned to Choice: *Item_Name, *Item_Id
	Choice               isItem_Choice `protobuf_oneof:"choice"`
	XXX_NoUnkeyedLiteral struct{}      `json:"-"`
	XXX_unrecognized     []byte        `json:"-"`
	XXX_sizecache        int32         `json:"-"`
}

func (m *Item) Reset()         { *m = Item{} }
func (m *Item) String() string { return fmt.Sprintf("%+v", *m) }
func (*Item) ProtoMessage()    {}

type isItem_Choice interface{ isItem_Choice() }

type Item_Name struct {
	Name string `protobuf:"bytes,9,opt,name=name,proto3,oneof"`
}

type Item_Id struct {
	Id uint32 `protobuf:"varint,10,opt,name=id,proto3,oneof"`
}

func (*Item_Name) isItem_Choice() {}
func (*Item_Id) isItem_Choice()   {}

// XXX_OneofWrappers is for the internal use of the proto package.
func (*Item) XXX_OneofWrappers() []any {
	return []any{(*Item_Name)(nil), (*Item_Id)(nil)}
}
