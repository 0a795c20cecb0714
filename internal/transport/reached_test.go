//go:build go1.25

package transport

import (
	"errors"
	"testing"

	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/wire"
)

// A frame was never written if writing has ended before its last byte can have been. What somebody
// writes at that moment may be out.
func TestNeverWritten(t *testing.T) {
	errBroken := errors.New("broken")
	post := func(b *backlog) uint64 {
		at, err := b.post(wire.EndFrame())
		testkit.Check(t, err)
		return at
	}
	for _, test := range []struct {
		name string
		end  func(b *backlog, f *wire.Frame)
		want [3]bool // of a frame that is written, of one in hand, of one behind it
	}{
		{"not ended", func(*backlog, *wire.Frame) {}, [3]bool{}},
		{"while it is written", func(b *backlog, _ *wire.Frame) { b.Stop(errBroken) }, [3]bool{false, false, true}},
		{"nothing was taken", func(b *backlog, _ *wire.Frame) { b.tookPart(0); b.Stop(errBroken) }, [3]bool{false, true, true}},
		{"a part was taken", func(b *backlog, _ *wire.Frame) { b.tookPart(9); b.Stop(errBroken) }, [3]bool{false, true, true}},
		{"all was taken", func(b *backlog, f *wire.Frame) { b.tookPart(f.Len()); b.Stop(errBroken) }, [3]bool{false, false, true}},
		{"behind it", func(b *backlog, f *wire.Frame) { b.written(f.Len()); b.Stop(errBroken) }, [3]bool{false, false, true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := &backlog{limit: 1 << 20}
			var at [3]uint64
			at[0] = post(b)
			b.written(b.begin().Len())
			at[1] = post(b)
			f := b.begin()
			defer f.Free()
			at[2] = post(b)
			test.end(b, f)
			for i := range at {
				testkit.Equal(t, b.NeverWritten(at[i]), test.want[i])
			}
			b.Stop(errBroken)
		})
	}
}
