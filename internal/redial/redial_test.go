//go:build go1.25

package redial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var (
	errDown    = errors.New("down")
	errEnded   = errors.New("ended")
	errRefused = errors.New("refused")
)

// failed is what users are told of a failure.
type failed struct {
	*Failure
	waited error
}

func (f *failed) Error() string { return f.Cause.Error() }

// conn is a connection that its test ends.
type conn struct{ ended func(error) }

// place makes connections, while it is up, and notes the states that are told.
type place struct {
	*Redialer[*conn]

	test  sync.Mutex // guards all below
	up    bool
	last  *conn
	dials int
	told  []string
	left  []*conn
}

func newPlace(t *testing.T, config Config[*conn]) *place {
	p := &place{up: true}
	config.Connect = p.connect
	config.Close = func(c *conn) { c.ended(errEnded) }
	config.Leave = func(c *conn) {
		p.test.Lock()
		defer p.test.Unlock()
		p.left = append(p.left, c)
	}
	config.Refusal = func(err error) error {
		if err == errRefused {
			return err
		}
		return nil
	}
	config.Backoff = Backoff{Jitter: -1}.WithDefaults()
	config.Failed = func(f *Failure) error { return &failed{f, nil} }
	config.Unsent = func(waited error, f *Failure) error { return &failed{f, waited} }
	config.Tell = func(s State, why error) { p.tell(describe(s, why)) }
	config.Done = func() { p.tell("done") }
	p.Redialer = New(t.Context(), config)
	t.Cleanup(p.Close)
	return p
}

func (p *place) tell(what string) {
	p.test.Lock()
	defer p.test.Unlock()
	p.told = append(p.told, what)
}

func (p *place) set(up bool) {
	p.test.Lock()
	defer p.test.Unlock()
	p.up = up
}

// latest is the connection that was made last, and how many attempts there were.
func (p *place) latest() (*conn, int) {
	p.test.Lock()
	defer p.test.Unlock()
	return p.last, p.dials
}

// cut ends the connection that was made last.
func (p *place) cut() {
	c, _ := p.latest()
	c.ended(errEnded)
}

func describe(s State, why error) string {
	name := [...]string{"Idle", "Connecting", "Ready", "Failed", "Closed"}[s]
	if why == nil {
		return name
	}
	return fmt.Sprintf("%s: %v", name, why)
}

func (p *place) connect(_ context.Context, ended func(error)) (*conn, error) {
	p.test.Lock()
	defer p.test.Unlock()
	p.dials++
	if !p.up {
		return nil, errDown
	}
	p.last = &conn{ended}
	return p.last, nil
}

// call makes a call that returns err, and waits until all is quiet.
func (p *place) call(err error) error {
	defer synctest.Wait()
	return p.Do(context.Background(), func(*conn) error { return err })
}

func (p *place) wantTold(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	p.test.Lock()
	defer p.test.Unlock()
	if !slices.Equal(p.told, want) {
		t.Errorf("told %q, want %q", p.told, want)
	}
	p.told = nil
}

// Each line of the table above State is a case; the state before it is made by those before.
func TestEachTransitionOfTheTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, Config[*conn]{})
		_ = p.call(nil)
		p.wantTold(t, "Connecting", "Ready")
		p.cut()
		p.wantTold(t, "Idle: ended")
		p.set(false)
		if err := p.call(nil); err.Error() != "down" {
			t.Error(err)
		}
		p.wantTold(t, "Connecting", "Failed: down")
		elapse(time.Second)
		p.wantTold(t, "Idle: down")
		p.set(true)
		if err := p.call(errDown); err != errDown { // of the call, which may have run
			t.Error(err)
		}
		p.wantTold(t, "Connecting", "Ready")
		p.cut()
		p.wantTold(t, "Failed: ended")
		go func() { _ = p.Do(WaitForReady(context.Background()), func(*conn) error { return nil }) }()
		p.wantTold(t)
		elapse(2 * time.Second)
		p.wantTold(t, "Connecting", "Ready")
		p.Close()
		p.wantTold(t, "Closed: use of closed network connection", "done")
		var closed *failed
		if err := p.call(nil); !errors.As(err, &closed) || !closed.Closed || closed.waited != nil {
			t.Error(err)
		}
	})
}

// A call that was refused is made again on a new connection, and no further ones on the old one,
// which ends in its own time.
func TestACallThatWasRefusedIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, Config[*conn]{})
		_ = p.call(nil)
		first, _ := p.latest()
		used := 0
		err := p.Do(context.Background(), func(c *conn) error {
			if used++; c == first {
				return errRefused
			}
			return nil
		})
		second, dials := p.latest()
		if err != nil || used != 2 || dials != 2 {
			t.Error(err, used, dials)
		}
		p.wantTold(t, "Connecting", "Ready", "Idle: the connection takes no further calls: refused", "Connecting", "Ready")
		if _, all := p.Connections(); len(all) != 2 {
			t.Error(len(all), "connections have not ended")
		}
		if !slices.Equal(p.left, []*conn{first}) {
			t.Error(len(p.left), "connections are to close when their calls have ended")
		}
		first.ended(errEnded)
		p.wantTold(t)
		if p.Current() != second {
			t.Error("the end of the old connection has ended the new one")
		}
	})
}

// A connection that has ended before Connect returns is a failed attempt.
func TestAConnectionThatEndsWhileItIsMadeFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, Config[*conn]{})
		p.config.Connect = func(_ context.Context, ended func(error)) (*conn, error) {
			ended(errEnded)
			return &conn{}, nil
		}
		if err := p.call(nil); err == nil || err.Error() != "ended" {
			t.Error(err)
		}
		p.wantTold(t, "Connecting", "Failed: ended")
	})
}

// A context that ends while its call waits ends the call, with the last failure.
func TestACallWaitsNoLongerThanItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, Config[*conn]{WaitForReady: true})
		p.set(false)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		var f *failed
		err := p.Do(ctx, func(*conn) error { return nil })
		if !errors.As(err, &f) || f.waited != context.DeadlineExceeded || f.Cause != errDown {
			t.Error(err)
		}
		if _, dials := p.latest(); dials != 5 { // after 0, 1, 2.6, 5.16 and 9.256 seconds
			t.Error(dials, "attempts")
		}
	})
}

// One that waits for the first attempt has no failure yet, but that.
func TestACallThatWaitsForTheFirstAttemptSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, Config[*conn]{})
		p.config.Connect = func(ctx context.Context, _ func(error)) (*conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		var f *failed
		err := p.Do(ctx, func(*conn) error { return nil })
		if !errors.As(err, &f) || f.waited != context.DeadlineExceeded || f.Cause != errStillConnecting {
			t.Error(err)
		}
		if err := p.Err(); err != nil {
			t.Error(err)
		}
		p.Close()
		if err := p.Err(); err == nil || err.Error() != "use of closed network connection" {
			t.Error(err)
		}
	})
}

// Delays grow from Base to Max, and Jitter moves each by its part.
func TestBackoffDelay(t *testing.T) {
	b := Backoff{Base: time.Second, Max: 3 * time.Second, Multiplier: 2, Jitter: 0.5}.WithDefaults()
	for failures, want := range []time.Duration{1: time.Second, 2: 2 * time.Second, 3: 3 * time.Second, 1000: 3 * time.Second} {
		if want != 0 && b.delay(failures, 0) != want {
			t.Error(failures, b.delay(failures, 0), want)
		}
	}
	if low, high := b.delay(1, -1), b.delay(1, 1); low != time.Second/2 || high != time.Second*3/2 {
		t.Error(low, high)
	}
	for range 1000 {
		if c := chance(); c < -1 || c >= 1 {
			t.Fatal(c)
		}
	}
}

// elapse lets the bubble's time go by.
func elapse(d time.Duration) { <-time.NewTimer(d).C }
