//go:build go1.25

package reader

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/containerd/ttrpc/internal/notify"
	"github.com/containerd/ttrpc/internal/testkit"
)

// step is where somebody is in what he does with a role.
type step int

const (
	outside step = iota // the loop in the poller, a caller or a worker doing something else, no deputy
	reading
	waits // the loop, for a channel of enter
	again // one who reads, and has to look again whether something has come
)

// Those who share the role in the model.
const (
	theLoop = iota
	callerA
	callerB
	theWorker
	theDeputy // who goes on for a caller or a worker, in the loop's stead
	everybody
)

// roleWorld is a role and those who use it, as values, from which both can be made again.
type roleWorld struct {
	state   State
	missed  bool
	waiting bool // the role has a channel
	woken   bool // the channel that the loop waits for is closed
	come    bool // something has come, and nobody has looked since
	told    bool // the poller is about to tell the loop of it, which it does once
	at      [everybody]step
}

// roleModel explores all worlds that can be reached, one atomic step of somebody after the other.
type roleModel struct {
	t     *testing.T
	seen  map[roleWorld]bool
	todo  []roleWorld
	edges map[string]bool
}

// run has somebody do one thing to the role in a world, and files the world that it leads to.
func (m *roleModel) run(w roleWorld, event string, do func(r *role, next *roleWorld)) {
	r := &role{state: w.state, missed: w.missed}
	if w.waiting {
		r.waiting = make(chan struct{})
	}
	loops := r.waiting // what the loop waits for, unless that is closed already
	next := w
	do(r, &next)
	if next.at[theLoop] == waits && w.at[theLoop] == waits && !w.woken {
		next.woken = isClosed(loops)
	}
	next.state, next.missed, next.waiting = r.state, r.missed, r.waiting != nil
	if next.state != w.state || next.missed && !w.missed {
		m.edges[fmt.Sprintf("%d %s %d %v", w.state, event, next.state, next.missed)] = true
	}
	m.check(w, event, next)
	if !m.seen[next] {
		m.seen[next] = true
		m.todo = append(m.todo, next)
	}
}

func isClosed(ch chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// readers is who reads.
func (w *roleWorld) readers() (all []int) {
	for who, at := range w.at {
		if at == reading || at == again {
			all = append(all, who)
		}
	}
	return all
}

// check wants what has to hold in every world.
func (m *roleModel) check(from roleWorld, event string, w roleWorld) {
	as := [everybody]State{ByLoop, ByCaller, ByCaller, ByWorker, InStead}
	want := Idle
	readers := w.readers()
	if len(readers) > 0 {
		want = as[readers[0]]
	}
	if len(readers) > 1 || w.state != want {
		m.t.Fatalf("%+v by %s became %+v: %v read", from, event, w, readers)
	}
	if w.at[theLoop] == waits && len(readers) == 0 && !w.woken {
		m.t.Fatalf("%+v by %s became %+v: the loop is not woken", from, event, w)
	}
	somebody := len(readers) > 0 && (w.missed || w.state == ByLoop || w.at[readers[0]] == again)
	if w.come && !w.told && !somebody && w.at[theLoop] != waits {
		m.t.Fatalf("%+v by %s became %+v: what the poller has told is lost", from, event, w)
	}
}

// arrive is the peer's: what comes makes the poller tell the loop, if that is there.
func (m *roleModel) arrive(w roleWorld) {
	m.run(w, "arrive", func(_ *role, next *roleWorld) { next.come, next.told = true, true })
}

// look is whoever's who reads: he finds what has come.
// What the poller is about to tell it tells all the same.
func (m *roleModel) look(w roleWorld, who int) {
	m.run(w, "look", func(_ *role, next *roleWorld) { next.come, next.at[who] = false, reading })
}

// loop is what the loop may do: it leaves when it has looked, and comes out of the poller because
// that has told it, or because waiting has failed.
func (m *roleModel) loop(w roleWorld) {
	free := len(w.readers()) == 0
	switch w.at[theLoop] {
	case reading, again:
		m.look(w, theLoop)
		if !w.come || w.told { // else the poller has told it already, and it reads on
			m.run(w, "Leave", func(r *role, next *roleWorld) { r.leave(); next.at[theLoop] = outside })
		}
	case outside:
		if w.told {
			m.run(w, "TryEnter", func(r *role, next *roleWorld) {
				testkit.Equal(m.t, r.TryEnter(), free)
				if next.told = false; free {
					next.at[theLoop] = reading
				}
			})
		}
		m.enter(w)
	case waits:
		if w.woken {
			m.enter(w)
		}
	}
}

// enter is the loop's, when waiting in the poller has failed, or when it has been woken.
func (m *roleModel) enter(w roleWorld) {
	m.run(w, "Enter", func(r *role, next *roleWorld) {
		wait := r.enter()
		testkit.Equal(m.t, wait == nil, len(w.readers()) == 0)
		next.at[theLoop], next.woken, next.told = reading, false, false
		if wait != nil {
			next.at[theLoop], next.woken = waits, isClosed(wait)
		}
	})
}

func (m *roleModel) callerOrWorker(w roleWorld, who int, as State) {
	switch w.at[who] {
	case outside:
		m.run(w, "tryAcquire", func(r *role, next *roleWorld) {
			got := r.tryAcquire(as)
			testkit.Equal(m.t, got, len(w.readers()) == 0)
			if got {
				next.at[who] = reading
				testkit.Equal(m.t, r.state, as)
				testkit.Equal(m.t, may[r.state]&Wait, 0)
			}
		})
		return
	case reading:
		m.release(w, who)
	}
	m.look(w, who)
	if w.at[theDeputy] == outside {
		m.run(w, "standIn", func(r *role, next *roleWorld) {
			r.standIn()
			next.at[who], next.at[theDeputy] = outside, w.at[who]
			testkit.Equal(m.t, may[r.state]&Wait, Wait)
		})
	}
}

func (m *roleModel) deputy(w roleWorld) {
	switch w.at[theDeputy] {
	case outside:
		return
	case reading:
		m.release(w, theDeputy)
	}
	m.look(w, theDeputy)
}

// release is for one who has looked since he was told to, if he was.
func (m *roleModel) release(w roleWorld, who int) {
	m.run(w, "release", func(r *role, next *roleWorld) {
		released := r.release()
		testkit.Equal(m.t, released, !w.missed)
		if next.at[who] = outside; !released {
			next.at[who] = again
		}
	})
}

// However the steps of a loop, two callers, a worker, a deputy and the poller follow each other:
// one reads at a time, nothing that comes is left to nobody, nobody acquires what somebody has, and
// what happens is what role's table says.
func TestReaderRoleIsItsTable(t *testing.T) {
	start := roleWorld{state: ByLoop}
	start.at[theLoop] = reading
	m := &roleModel{t: t, seen: map[roleWorld]bool{start: true}, todo: []roleWorld{start}, edges: map[string]bool{}}
	for len(m.todo) > 0 {
		w := m.todo[0]
		m.todo = m.todo[1:]
		m.arrive(w)
		m.loop(w)
		m.callerOrWorker(w, callerA, ByCaller)
		m.callerOrWorker(w, callerB, ByCaller)
		m.callerOrWorker(w, theWorker, ByWorker)
		m.deputy(w)
	}
	testkit.Equal(t, fmt.Sprint(m.edges), fmt.Sprint(roleTable()))
	if len(m.seen) < 50 {
		t.Errorf("only %d worlds were seen", len(m.seen))
	}
}

// roleTable is the table at role, with what missed becomes.
func roleTable() map[string]bool {
	table := map[string]bool{}
	for _, edge := range []struct {
		from   State
		event  string
		to     State
		missed bool
	}{
		{ByLoop, "Leave", Idle, false},
		{Idle, "TryEnter", ByLoop, false},
		{Idle, "Enter", ByLoop, false},
		{Idle, "tryAcquire", ByCaller, false},
		{Idle, "tryAcquire", ByWorker, false},
		{ByCaller, "TryEnter", ByCaller, true},
		{ByWorker, "TryEnter", ByWorker, true},
		{InStead, "TryEnter", InStead, true},
		{ByCaller, "release", Idle, false},
		{ByWorker, "release", Idle, false},
		{InStead, "release", Idle, false},
		{ByCaller, "standIn", InStead, true},
		{ByWorker, "standIn", InStead, true},
	} {
		table[fmt.Sprintf("%d %s %d %v", edge.from, edge.event, edge.to, edge.missed)] = true
	}
	return table
}

// roleRace is goroutines that share a role. What comes is a number that whoever reads takes;
// the poller tells the loop of it.
type roleRace struct {
	role    role
	poller  chan struct{} // capacity 1
	come    atomic.Int64
	readers atomic.Int64
	taken   int64 // by whoever reads
	deputy  sync.WaitGroup
}

// take reads in the role.
func (r *roleRace) take(t *testing.T) {
	if r.readers.Add(1) != 1 {
		t.Error("two read at once")
	}
	for n := r.come.Load(); n > 0; n = r.come.Load() {
		r.come.Add(-n)
		r.taken += n
	}
	runtime.Gosched()
	r.readers.Add(-1)
}

func (r *roleRace) loop(t *testing.T, all int64) {
	for {
		r.take(t)
		if r.taken == all {
			return
		}
		r.role.leave()
		for <-r.poller; !r.role.TryEnter(); <-r.poller {
		}
	}
}

// readOnce reads once, if nobody does, and may leave the role to a deputy.
func (r *roleRace) readOnce(t *testing.T, as State, deputy bool) {
	if !r.role.tryAcquire(as) {
		return
	}
	testkit.Equal(t, r.role.state, as)
	r.take(t)
	if !deputy {
		r.release(t)
		return
	}
	r.role.standIn()
	r.deputy.Go(func() { r.take(t); r.release(t) })
}

func (r *roleRace) release(t *testing.T) {
	for !r.role.release() {
		r.take(t)
	}
}

// The same with goroutines: one reads at a time, and all that comes is read,
// also when nothing comes after it.
func TestReaderRoleRace(t *testing.T) {
	const rounds, each = 200, 100
	for seed := range uint64(rounds) {
		r := &roleRace{poller: make(chan struct{}, 1)}
		ended := make(chan struct{})
		go func() { defer close(ended); r.loop(t, each) }()
		done := make(chan struct{})
		var all sync.WaitGroup
		for who, as := range []State{ByCaller, ByCaller, ByWorker} {
			all.Go(func() {
				random := rand.New(rand.NewPCG(seed, uint64(who)))
				for {
					select {
					case <-done:
						return
					default:
						r.readOnce(t, as, random.IntN(4) == 0)
						runtime.Gosched()
					}
				}
			})
		}
		for range each {
			r.come.Add(1)
			notify.One(r.poller)
			runtime.Gosched()
		}
		close(done)
		all.Wait()
		r.deputy.Wait()
		notify.One(r.poller) // what a caller has read last, the loop learns of as it ends
		testkit.Wait(t, ended, "the loop to have read all")
	}
}
