package reflectionpb

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/containerd/ttrpc/internal/fields"
)

// Answer is what a Response says. Its value is the number of the field that says it.
type Answer protowire.Number

// The answers. The zero value is none of them.
const (
	Files            Answer = 4
	ExtensionNumbers Answer = 5
	Services         Answer = 6
	Failure          Answer = 7
)

// Response is a ServerReflectionResponse. Of the fields below Answer it has those of its answer. It
// is plain data.
type Response struct {
	ValidHost       string
	OriginalRequest *Request // nil: none
	Answer          Answer

	Files    [][]byte // encoded FileDescriptorProtos
	BaseType string   // whose extensions have the numbers
	Numbers  []int32
	Services []string // their names
	Code     int32    // of the failure, one of grpc's codes
	Text     string   // of the failure
}

// Reset empties the message.
func (m *Response) Reset() { *m = Response{} }

// String is for logs.
func (m *Response) String() string {
	return fmt.Sprintf("valid_host:%q original_request:{%v} %d: %d files, type %q, extensions %v, services %q, error %d %q",
		m.ValidHost, m.OriginalRequest, m.Answer, len(m.Files), m.BaseType, m.Numbers, m.Services, m.Code, m.Text)
}

// ProtoMessage marks a message.
func (*Response) ProtoMessage() {}

// Marshal encodes the message.
func (m *Response) Marshal() ([]byte, error) {
	b := fields.AppendText(nil, 1, m.ValidHost)
	if m.OriginalRequest != nil {
		request, err := m.OriginalRequest.Marshal()
		if err != nil {
			return nil, err
		}
		b = fields.AppendBytes(b, 2, request)
	}
	if m.Answer == 0 {
		return b, nil
	}
	return fields.AppendBytes(b, protowire.Number(m.Answer), m.marshalAnswer()), nil
}

func (m *Response) marshalAnswer() (b []byte) {
	switch m.Answer {
	case Files:
		for _, file := range m.Files {
			b = fields.AppendBytes(b, 1, file)
		}
	case ExtensionNumbers:
		b = fields.AppendText(b, 1, m.BaseType)
		if len(m.Numbers) > 0 {
			b = fields.AppendBytes(b, 2, packed(m.Numbers))
		}
	case Services:
		for _, name := range m.Services {
			b = fields.AppendBytes(b, 1, fields.AppendText(nil, 1, name))
		}
	case Failure:
		b = fields.AppendText(fields.AppendInt32(b, 1, m.Code), 2, m.Text)
	}
	return b
}

func packed(numbers []int32) (b []byte) {
	for _, n := range numbers {
		b = protowire.AppendVarint(b, uint64(int64(n)))
	}
	return b
}

// Unmarshal merges an encoded message into this one, which keeps parts of it.
func (m *Response) Unmarshal(b []byte) error {
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

func (m *Response) set(f fields.Field) (err error) {
	switch answer := Answer(f.Number); answer {
	case 1:
		m.ValidHost, err = f.Text()
	case 2:
		if m.OriginalRequest == nil {
			m.OriginalRequest = new(Request)
		}
		err = m.OriginalRequest.Unmarshal(f.Bytes)
	case Files, ExtensionNumbers, Services, Failure:
		if m.Answer != answer {
			*m = Response{ValidHost: m.ValidHost, OriginalRequest: m.OriginalRequest, Answer: answer}
		}
		err = m.setAnswer(f.Bytes)
	}
	return err
}

func (m *Response) setAnswer(b []byte) error {
	set := map[Answer]func(fields.Field) error{
		Files: m.setFile, ExtensionNumbers: m.setExtensions, Services: m.setService, Failure: m.setFailure,
	}[m.Answer]
	for f, err := range fields.All(b) {
		if err == nil {
			err = set(f)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *Response) setFile(f fields.Field) error {
	if f.IsBytes(1) {
		m.Files = append(m.Files, f.Bytes)
	}
	return nil
}

// setExtensions takes numbers in both forms that a list of numbers may have.
func (m *Response) setExtensions(f fields.Field) (err error) {
	switch {
	case f.IsBytes(1):
		m.BaseType, err = f.Text()
	case f.IsVarint(2):
		m.Numbers = append(m.Numbers, int32(f.Varint))
	case f.IsBytes(2):
		for b := f.Bytes; len(b) > 0; {
			v, n := protowire.ConsumeVarint(b)
			if n < 0 {
				return protowire.ParseError(n)
			}
			m.Numbers, b = append(m.Numbers, int32(v)), b[n:]
		}
	}
	return err
}

func (m *Response) setService(f fields.Field) error {
	if !f.IsBytes(1) {
		return nil
	}
	name := ""
	for f, err := range fields.All(f.Bytes) {
		if err == nil && f.IsBytes(1) {
			name, err = f.Text()
		}
		if err != nil {
			return err
		}
	}
	m.Services = append(m.Services, name)
	return nil
}

func (m *Response) setFailure(f fields.Field) (err error) {
	if f.IsVarint(1) {
		m.Code = int32(f.Varint)
	} else if f.IsBytes(2) {
		m.Text, err = f.Text()
	}
	return err
}
