// Package reflectionpb has the messages of grpc.reflection.v1, which are those of v1alpha as well.
// They are encoded by their own methods and have no descriptors: a program may link grpc's own, and
// no file can be registered twice.
package reflectionpb

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/containerd/ttrpc/internal/fields"
)

// Question is what a Request asks. Its value is the number of the field that asks it.
type Question protowire.Number

// The questions. The zero value is none of them.
const (
	FileByFilename            Question = 3
	FileContainingSymbol      Question = 4
	FileContainingExtension   Question = 5
	AllExtensionNumbersOfType Question = 6
	ListServices              Question = 7
)

// Request is a ServerReflectionRequest. It is plain data.
type Request struct {
	Host     string
	Question Question
	Name     string // of what is asked for; of an extension, the message that it extends
	Number   int32  // of the extension
}

// Reset empties the message.
func (m *Request) Reset() { *m = Request{} }

// String is for logs.
func (m *Request) String() string {
	return fmt.Sprintf("host:%q %d:%q number:%d", m.Host, m.Question, m.Name, m.Number)
}

// ProtoMessage marks a message.
func (*Request) ProtoMessage() {}

// Marshal encodes the message.
func (m *Request) Marshal() ([]byte, error) {
	b := fields.AppendText(nil, 1, m.Host)
	switch m.Question {
	case 0:
		return b, nil
	case FileContainingExtension:
		extension := fields.AppendInt32(fields.AppendText(nil, 1, m.Name), 2, m.Number)
		return fields.AppendBytes(b, protowire.Number(m.Question), extension), nil
	}
	return fields.AppendBytes(b, protowire.Number(m.Question), m.Name), nil
}

// Unmarshal merges an encoded message into this one.
func (m *Request) Unmarshal(b []byte) error {
	for f, err := range fields.All(b) {
		if err == nil && f.Type == protowire.BytesType {
			err = m.set(f)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *Request) set(f fields.Field) (err error) {
	switch question := Question(f.Number); question {
	case FileByFilename, FileContainingSymbol, AllExtensionNumbersOfType, ListServices:
		m.Question, m.Number = question, 0
		m.Name, err = f.Text()
	case FileContainingExtension:
		if m.Question != question {
			m.Question, m.Name, m.Number = question, "", 0
		}
		err = m.setExtension(f.Bytes)
	case 1:
		m.Host, err = f.Text()
	}
	return err
}

func (m *Request) setExtension(b []byte) error {
	for f, err := range fields.All(b) {
		if err == nil && f.IsBytes(1) {
			m.Name, err = f.Text()
		} else if err == nil && f.IsVarint(2) {
			m.Number = int32(f.Varint)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
