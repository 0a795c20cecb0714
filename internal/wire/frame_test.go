//go:build go1.25

package wire

import "testing"

func TestFrameIsSealed(t *testing.T) {
	f := StartFrame(3)
	defer f.Free()
	f.Append([]byte("abc"))
	f.Seal(TypeData, 5)
	f.SetStream(7)
	equal(t, string(f.Bytes()), string(rawFrame(7, 3, 5, []byte("abc"))))
	equal(t, string(f.Data()), "abc")
	equal(t, f.Len(), HeaderLen+3)
}

func TestEndFrame(t *testing.T) {
	f := EndFrame()
	defer f.Free()
	f.SetStream(7)
	equal(t, string(f.Bytes()), string(rawFrame(7, 3, 5, nil)))
}

func TestFrameSizes(t *testing.T) {
	for _, size := range []int{0, 1, 511, 512, 513, 32 << 10, 64<<10 + HeaderLen, 1<<20 + 100, 4<<20 + 100, 16 << 20} {
		f := NewFrame(size)
		if f.Len() != 0 || f.Cap() < size || f.class >= 0 && f.Cap() != frameClasses[f.class] {
			t.Errorf("a frame for %d bytes has %d of %d, class %d", size, f.Len(), f.Cap(), f.class)
		}
		equal(t, f.class < 0, size > frameClasses[len(frameClasses)-1])
		f.Free()
	}
	for _, power := range []int{64 << 10, 1 << 20, 4 << 20} {
		f := StartFrame(power + 200) // an envelope beside the message
		if f.Cap() > power+power/4 {
			t.Errorf("a message of %d bytes takes a buffer of %d", power, f.Cap())
		}
		f.Free()
	}
}

// A frame that was used before has nothing of that use.
func TestFrameFromThePoolIsEmpty(t *testing.T) {
	for range 100 {
		f := StartFrame(100)
		equal(t, f.Len(), HeaderLen)
		equal(t, f.freed, false)
		equal(t, f.next, nil)
		f.Append([]byte("used"))
		f.Free()
	}
}

func TestFrameFreedTwicePanics(t *testing.T) {
	f := &Frame{b: make([]byte, 1), class: -1} // of no pool, so that nobody else gets it
	f.Free()
	wantPanic(t, f.Free)
}

func TestFrameGrows(t *testing.T) {
	f := NewFrame(10)
	f.Append([]byte("0123456789"))
	if g := f.Grow(100); g != f {
		t.Error("it grew for nothing")
	}
	g := f.Grow(100_000)
	defer g.Free()
	if !f.freed || g == f || g.Cap() < 100_000 {
		t.Error("it did not grow")
	}
	equal(t, string(g.Bytes()), "0123456789")
}

// A frame that was given more than it had room for does not come back as a small one.
func TestGrownFrameIsNotPooled(t *testing.T) {
	for range 100 {
		f := NewFrame(1)
		equal(t, f.Cap(), frameClasses[0])
		f.Append(make([]byte, 1<<20))
		f.Free()
		f = NewFrame(1)
		f.SetBytes(append(f.Bytes(), make([]byte, 1<<20)...))
		f.Free()
	}
}

// The bytes of an abandoned frame are somebody else's: no other frame gets them.
func TestAbandonedFrameIsNotPooled(t *testing.T) {
	for range 100 {
		f := StartFrame(1 << 20)
		f.SetBytes(append(f.Bytes(), "kept"...))
		kept := f.Data()
		f.Abandon()
		f.Free()
		g := StartFrame(1 << 20)
		g.Append([]byte("used"))
		equal(t, string(kept), "kept")
		g.Free()
		wantPanic(t, f.Free)
	}
}
