package ttrpc

// sizedMessage has the methods of gogo's generated code, for a message of one string field.
type sizedMessage struct{ text string }

func (m *sizedMessage) Reset()         { *m = sizedMessage{} }
func (m *sizedMessage) String() string { return m.text }
func (*sizedMessage) ProtoMessage()    {}
func (m *sizedMessage) Size() int      { return len(encode(text(m.text))) }
func (m *sizedMessage) MarshalToSizedBuffer(b []byte) (int, error) {
	data := encode(text(m.text))
	return copy(b[len(b)-len(data):], data), nil
}
func (m *sizedMessage) Unmarshal(b []byte) error {
	var in message
	err := unmarshal(b, &in)
	m.text += in.Value // generated code appends: who unmarshals has to reset
	return err
}
