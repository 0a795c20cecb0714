package flow

import "testing"

// known is a peer that may be told limits.
type known struct{}

func (known) KnowsWindows() bool { return true }

// A consumer that waits still waits when Data without a message has come: a stream that is stopped
// then may send one all the same.
func TestWindowOfAConsumerThatWaits(t *testing.T) {
	b, w := new(Inflow), new(RecvWindow)
	b.Init(1<<20, 1<<20, 1<<10, known{})
	if due := w.Want(b); due.Due {
		t.Error(due)
	}
	w.Pass(b, 10)
	if due := w.Restrain(b); due != (Limit{11, true}) {
		t.Error(due)
	}
	if due := w.Count(b, 10, 10); due.Due || b.Promised() != 0 {
		t.Error(due, b.Promised())
	}
	if due := w.Want(b); due != (Limit{20 + 1<<10, true}) {
		t.Error(due)
	}
	w.Close(b)
	if open := b.Promised(); open != 0 {
		t.Error(open)
	}
}

// A frame always has room where nothing else is: in a stream, and in the connection.
func TestAdmitsOneFrameWhateverTheLimits(t *testing.T) {
	fl := new(Inflow)
	fl.Init(10, 25, 1<<10, known{})
	for _, c := range []struct {
		buffered, n      int
		controlled, want bool
	}{
		{0, 11, false, true},   // of a stream without any
		{11, 1, false, false},  // of that stream
		{11, 1, true, true},    // of that stream, once it is under control
		{0, 13, false, true},   // of another one: the connection is full by that
		{0, 1, false, false},   // of a third one
		{12, 1, true, false},   // of the first one
		{-1, -25, false, true}, // all is taken
		{0, 26, false, true},   // of a connection without any
		{0, 1, false, false},
	} {
		if c.n < 0 {
			fl.Release(-c.n)
		} else if got := fl.Admit(c.buffered, c.n, c.controlled); got != c.want {
			t.Errorf("%d bytes behind %d: %v", c.n, c.buffered, got)
		}
	}
	if fl.Buffered() != 26 || fl.FillsConn(0) != true {
		t.Error(fl.Buffered())
	}
}

// The budget is crowded from a quarter of the connection's limit on, and no longer under an eighth;
// each is reported once.
func TestCrowdedFromAQuarterToAnEighth(t *testing.T) {
	fl := new(Inflow)
	fl.Init(100, 100, 100, known{})
	for _, c := range []struct {
		n            int
		fills, eases bool
	}{
		{24, false, false}, {1, true, false}, {50, false, false}, {-63, false, false}, {-1, false, true}, {-11, false, false},
	} {
		fl.Count(c.n)
		if fills, eases := fl.Fills(), fl.Eases(); fills != c.fills || eases != c.eases {
			t.Errorf("at %d bytes: fills %v, eases %v", fl.Buffered(), fills, eases)
		}
	}
}

// A reader that waits is woken by what is released, by a call that comes, and by the end. One that
// does not wait is not.
func TestAReaderThatWaitsIsWoken(t *testing.T) {
	fl := new(Inflow)
	fl.Init(1, 1, 1, known{})
	fl.LookAgain()
	fl.BeginWait()
	for _, wake := range []func(){func() { fl.Release(1) }, fl.LookAgain, fl.Close} {
		select {
		case <-fl.space:
			t.Fatal("it was woken early")
		default:
		}
		wake()
		fl.Await()
	}
	fl.EndWait()
	if !fl.IsClosed() || fl.Waits() {
		t.Error("the end of a wait has undone the end")
	}
}
