package schema

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Binary is the descriptors that a Go program's file has, as generated code embeds them. It need
// not have symbols.
func Binary(path string) Source {
	return Source{Name: "the program " + path, Load: func(context.Context) (Files, error) {
		image, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		return InImage(image), nil
	}}
}

// Process is the descriptors of the program that a process runs. It works on Linux.
func Process(pid int) Source {
	src := Binary(fmt.Sprintf("/proc/%d/exe", pid))
	src.Name = fmt.Sprintf("the program of process %d", pid)
	return src
}

// InImage returns the descriptors in a program's image: those of google.golang.org/protobuf, which
// are there as they are encoded, and those of gogo, which are compressed.
func InImage(image []byte) Files {
	return append(plain(image), gzipped(image)...)
}

var extension = []byte(".proto")

// plain looks for the name with which a descriptor begins: field 1, its length, and a text that
// ends in ".proto".
func plain(image []byte) (found Files) {
	for at := 0; ; {
		i := bytes.Index(image[at:], extension)
		if i < 0 {
			return found
		}
		at += i + len(extension)
		for n := len(extension) + 1; n < 128 && n+2 <= at; n++ {
			start := at - n - 2
			if image[start] != 0x0a || image[start+1] != byte(n) || !isText(image[start+2:at]) {
				continue
			}
			if fd := parse(image[start:]); fd != nil {
				found = append(found, fd)
				break
			}
		}
	}
}

func isText(name []byte) bool {
	return bytes.IndexFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// parse decodes the descriptor at the beginning of data, whose end nothing marks: it ends where its
// fields do. What lies behind may look like one more, so the last fields are given up one by one.
func parse(data []byte) *descriptorpb.FileDescriptorProto {
	ends := fieldEnds(data)
	for i := len(ends) - 1; i >= 0 && i >= len(ends)-4; i-- {
		fd := new(descriptorpb.FileDescriptorProto)
		if proto.Unmarshal(data[:ends[i]], fd) == nil && isSyntax(fd) && len(fd.ProtoReflect().GetUnknown()) == 0 {
			return fd
		}
	}
	return nil
}

func isSyntax(fd *descriptorpb.FileDescriptorProto) bool {
	switch fd.GetSyntax() {
	case "", "proto2", "proto3", "editions":
		return len(fd.MessageType)+len(fd.EnumType)+len(fd.Service)+len(fd.Extension)+len(fd.Dependency) > 0
	}
	return false
}

// fieldEnds returns where the fields of a FileDescriptorProto end, as far as data has such.
func fieldEnds(data []byte) (ends []int) {
	single := map[protowire.Number]bool{}
	for at := 0; at < len(data); {
		num, typ, n := protowire.ConsumeTag(data[at:])
		if n < 0 || num > 14 || num == 13 || single[num] || typ != fieldType(num) {
			return ends
		}
		single[num] = num == 1 || num == 2 || num == 8 || num == 12 || num == 14
		size := protowire.ConsumeFieldValue(num, typ, data[at+n:])
		if size < 0 {
			return ends
		}
		at += n + size
		ends = append(ends, at)
	}
	return ends
}

func fieldType(num protowire.Number) protowire.Type {
	if num == 10 || num == 11 || num == 14 { // public and weak dependencies, the edition
		return protowire.VarintType
	}
	return protowire.BytesType
}

// limit is the size of the largest descriptor that is decompressed.
const limit = 4 << 20

// gzipped looks for what gzip begins with, and for a descriptor in what comes out.
func gzipped(image []byte) (found Files) {
	magic := []byte{0x1f, 0x8b, 0x08}
	for at := 0; ; at += len(magic) {
		i := bytes.Index(image[at:], magic)
		if i < 0 {
			return found
		}
		at += i
		z, err := gzip.NewReader(bytes.NewReader(image[at:]))
		if err != nil {
			continue
		}
		z.Multistream(false)
		data, err := io.ReadAll(io.LimitReader(z, limit))
		if err != nil || len(data) == 0 || data[0] != 0x0a {
			continue
		}
		fd := new(descriptorpb.FileDescriptorProto)
		if proto.Unmarshal(data, fd) == nil && bytes.HasSuffix([]byte(fd.GetName()), extension) {
			found = append(found, fd)
		}
	}
}
