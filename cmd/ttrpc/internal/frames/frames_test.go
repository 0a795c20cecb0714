package frames

import (
	"bytes"
	"io"
	"testing"
)

// Frames are found however the bytes are cut.
func TestSplitter(t *testing.T) {
	want := []*Frame{
		{ID: 1, Type: Request, Flag: RemoteOpen, Data: []byte("hello")},
		{ID: 1, Type: Data, Flag: RemoteClosed | NoData, Data: []byte{}}, {ID: 3, Type: Response, Data: []byte("x")},
	}
	var all []byte
	for _, f := range want {
		all = append(all, f.Encode()...)
	}
	for size := 1; size <= len(all); size++ {
		var got []*Frame
		s := &Splitter{Each: func(f *Frame) { got = append(got, f) }, Wrong: func(data []byte) { t.Errorf("wrong: %q", data) }}
		for rest := all; len(rest) > 0; {
			n := min(size, len(rest))
			if _, err := s.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if len(got) != len(want) || s.Rest() != 0 {
			t.Fatalf("pieces of %d bytes: %d frames, %d bytes are left", size, len(got), s.Rest())
		}
		for i, f := range got {
			if f.ID != want[i].ID || f.Type != want[i].Type || f.Flag != want[i].Flag || !bytes.Equal(f.Data, want[i].Data) {
				t.Errorf("pieces of %d bytes: frame %d is %+v", size, i, f)
			}
		}
	}
}

func TestSplitterStranger(t *testing.T) {
	wrong := 0
	s := &Splitter{Each: func(f *Frame) { t.Errorf("frame %+v", f) }, Wrong: func([]byte) { wrong++ }}
	for range 3 {
		if n, err := s.Write([]byte("HTTP/1.1 200 OK\r\n")); n != 17 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	if wrong != 1 {
		t.Errorf("it was said %d times", wrong)
	}
}

func TestRead(t *testing.T) {
	f := &Frame{ID: 5, Type: Data, Data: []byte("abc")}
	data := f.Encode()
	for n := range data {
		if _, err := Read(bytes.NewReader(data[:n])); n == 0 && err != io.EOF || n > 0 && err != io.ErrUnexpectedEOF {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if got, err := Read(bytes.NewReader(data)); err != nil || string(got.Data) != "abc" {
		t.Errorf("%+v, %v", got, err)
	}
}
