//go:build go1.25

package request

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/wire"
)

func TestMain(m *testing.M) { testkit.Main(m, "internal/request.") }

// frameOf is the frame of a Request with a message, and what it was parsed to.
func frameOf(t *testing.T, message string, timeout int64, md map[string][]string) (*wire.Frame, *wire.RequestView) {
	t.Helper()
	f := wire.StartFrame(0)
	b := wire.AppendRequestHead(f.Bytes(), "service", "method", len(message))
	f.SetBytes(wire.AppendRequestTail(append(b, message...), timeout, md))
	f.Seal(wire.TypeRequest, 0)
	v, err := wire.ParseRequest(f.Data())
	testkit.Check(t, err)
	return f, &v
}

func taken(t *testing.T, r *Request, message string) {
	t.Helper()
	r.Take(frameOf(t, message, 0, nil))
}

// copyTo decodes into a *string.
func copyTo(b []byte, m any) error { *m.(*string) = string(b); return nil }

// What is in a Request is told, and its cost also when it is no more.
func TestRequestTells(t *testing.T) {
	var r Request
	f, v := frameOf(t, "hello", int64(time.Second), map[string][]string{"Key": {"a", "b"}})
	size, data := f.Len(), f.Data()
	r.Take(f, v)
	testkit.Equal(t, r.Timeout(), time.Second)
	testkit.Equal(t, fmt.Sprint(r.Metadata()), "map[key:[a b]]")
	message, frame := r.Sizes()
	testkit.Equal(t, message, len("hello"))
	testkit.Equal(t, frame, size)
	testkit.Equal(t, string(r.Data()), string(data))
	testkit.Equal(t, r.Cost(), size+2*keyValueCost)
	r.Drop()
	testkit.Equal(t, r.Cost(), size+2*keyValueCost)

	taken(t, &r, "")
	testkit.Equal(t, r.Timeout(), 0)
	testkit.Equal(t, r.Metadata() == nil, true)
	r.Drop()
}

// A stream's first message is a frame of its own, which stays when the request is gone.
func TestRequestAsData(t *testing.T) {
	for _, message := range []string{"", "hello"} {
		var r Request
		taken(t, &r, message)
		f := r.AsData()
		r.Drop()
		testkit.Equal(t, string(f.Data()), message)
		testkit.Equal(t, wire.ParseHeader(f.Bytes()).Type, wire.TypeData)
		f.Free()
	}
}

// A method may decode as often as it likes, and learns when that fails.
func TestRequestIsDecodedAgain(t *testing.T) {
	var r Request
	taken(t, &r, "hello")
	defer r.Drop()
	for range 2 {
		var got string
		testkit.Check(t, r.Decode(r.Use(), &got, copyTo))
		testkit.Equal(t, got, "hello")
	}
	broken := errors.New("broken")
	testkit.Equal(t, r.Decode(r.Use(), nil, func([]byte, any) error { return broken }), broken)
}

// Once it is dropped it is decoded no more, nor is the object's next request in its place.
func TestRequestIsNotDecodedLate(t *testing.T) {
	var r Request
	late := func(use uint64) {
		t.Helper()
		err := r.Decode(use, nil, func([]byte, any) error { t.Error("it was decoded"); return nil })
		testkit.Equal(t, err, errLate)
	}
	taken(t, &r, "first")
	first := r.Use()
	r.Drop()
	late(first)
	r.Drop() // a second time is nothing
	taken(t, &r, "second")
	late(first)
	var got string
	testkit.Check(t, r.Decode(r.Use(), &got, copyTo))
	testkit.Equal(t, got, "second")
	second := r.Use()
	r.Drop()
	late(first)
	late(second)
}

// Goroutines that a method has left behind decode its request, or are late: they see no other.
func TestRaceRequest(t *testing.T) {
	var r Request
	var all sync.WaitGroup
	for i := range 200 {
		want := fmt.Sprint(i)
		taken(t, &r, want)
		use := r.Use()
		all.Go(func() {
			var got string
			if err := r.Decode(use, &got, copyTo); err == nil && got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
		r.Drop()
	}
	all.Wait()
}
