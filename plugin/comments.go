package plugin

import (
	"fmt"

	"github.com/gogo/protobuf/protoc-gen-gogo/descriptor"

	"github.com/containerd/ttrpc/internal/stub"
)

// Field numbers in descriptor.proto, of which the paths of source locations consist.
const (
	serviceField = 6 // FileDescriptorProto.service
	methodField  = 2 // ServiceDescriptorProto.method
)

// comments finds the comments of one element and of those inside it.
type comments struct {
	locations map[string]*descriptor.SourceCodeInfo_Location
	path      []int32
}

func commentsOf(file *descriptor.FileDescriptorProto) comments {
	c := comments{locations: map[string]*descriptor.SourceCodeInfo_Location{}}
	for _, l := range file.GetSourceCodeInfo().GetLocation() {
		if l.LeadingComments != nil || l.TrailingComments != nil {
			c.locations[fmt.Sprint(l.Path)] = l
		}
	}
	return c
}

// at returns the comments of the i-th element in a field.
func (c comments) at(field, i int) comments {
	c.path = append(c.path[:len(c.path):len(c.path)], int32(field), int32(i))
	return c
}

func (c comments) doc(deprecated bool) stub.Doc {
	l := c.locations[fmt.Sprint(c.path)]
	return stub.Doc{Leading: l.GetLeadingComments(), Trailing: l.GetTrailingComments(), Deprecated: deprecated}
}
