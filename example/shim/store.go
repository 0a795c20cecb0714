package shim

import (
	"context"
	"sync"
	"time"

	"github.com/pkg/errors"
)

var (
	errNotFound = errors.New("no such task")
	errExists   = errors.New("there is a task of that name")
	errTooMuch  = errors.New("more than the log holds")
)

// Exit statuses of tasks that a signal ended, as a shell tells them.
const (
	killed     = 128 + 9  // SIGKILL
	terminated = 128 + 15 // SIGTERM
)

// endTime is how long a task takes to end when it is asked to.
const endTime = 300 * time.Millisecond

// Topics of a task's events.
const (
	topicCreate = "/tasks/create"
	topicWait   = "/tasks/wait"
	topicGiveUp = "/tasks/give-up"
	topicExit   = "/tasks/exit"
)

// event is what the front ends turn into a typed message of their own kind.
type event struct {
	topic      string
	id         string
	namespace  string
	pid        uint32
	exitStatus uint32
	why        string
}

// store holds the tasks, whichever kind of stub they are reached through.
type store struct {
	mu      sync.Mutex // guards tasks and lastPID
	tasks   map[string]*task
	lastPID uint32
}

// task pretends to run: a timer or a kill ends it.
type task struct {
	id        string
	namespace string
	pid       uint32
	done      chan struct{} // closed when the task has ended

	mu         sync.Mutex // guards all below
	events     []event
	changed    chan struct{} // closed and renewed with every event
	ended      bool
	exitStatus uint32
	timer      *time.Timer // nil for a task that runs until it is killed
}

func newStore() *store {
	return &store{tasks: map[string]*task{}, lastPID: 100}
}

// create starts a task that runs for a time, or until it is killed where that is 0. It may take
// the name of one that has ended.
func (s *store) create(id, namespace string, runs time.Duration) (*task, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.tasks[id]; old != nil && !old.hasEnded() {
		return nil, errors.Wrapf(errExists, "create %s", id)
	}
	s.lastPID++
	t := &task{id: id, namespace: namespace, pid: s.lastPID, done: make(chan struct{}), changed: make(chan struct{})}
	s.tasks[id] = t
	t.start(runs)
	return t, nil
}

func (s *store) find(id string) (*task, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tasks[id]
	if t == nil {
		return nil, errors.Wrapf(errNotFound, "task %s", id)
	}
	return t, nil
}

// wait returns a task's exit status once it has ended, or the context's error, of which it tells
// those who follow the task: the caller may be gone by then.
func (s *store) wait(ctx context.Context, id string) (uint32, error) {
	t, err := s.find(id)
	if err != nil {
		return 0, err
	}
	t.publish(event{topic: topicWait})
	select {
	case <-t.done:
		return t.status(), nil
	case <-ctx.Done():
		t.publish(event{topic: topicGiveUp, why: ctx.Err().Error()})
		return 0, ctx.Err()
	}
}

func (s *store) kill(id string) error {
	t, err := s.find(id)
	if err != nil {
		return err
	}
	t.exit(killed)
	return nil
}

// killAll ends every task, and with them the calls that wait for one.
func (s *store) killAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tasks {
		t.exit(killed)
	}
}

// terminateAll asks every task to end.
func (s *store) terminateAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tasks {
		t.endIn(endTime, terminated)
	}
}

// follow hands all events of a task to send, past and coming, until the task has ended.
func (s *store) follow(ctx context.Context, id string, send func(event) error) error {
	t, err := s.find(id)
	if err != nil {
		return err
	}
	for seen := 0; ; {
		news, changed, ended := t.since(seen)
		for _, e := range news {
			if err := send(e); err != nil {
				return errors.Wrapf(err, "events of %s", id)
			}
		}
		seen += len(news)
		if ended {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (t *task) start(runs time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.publishLocked(event{topic: topicCreate})
	if runs > 0 {
		t.endInLocked(runs, 0)
	}
}

func (t *task) endIn(d time.Duration, status uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.ended {
		t.endInLocked(d, status)
	}
}

// endInLocked sets the task's end in place of the one that was set before.
func (t *task) endInLocked(d time.Duration, status uint32) {
	if t.timer != nil {
		t.timer.Stop()
	}
	t.timer = time.AfterFunc(d, func() { t.exit(status) })
}

// exit ends the task. The first one to call it decides the status.
func (t *task) exit(status uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return
	}
	if t.timer != nil {
		t.timer.Stop()
	}
	t.ended, t.exitStatus = true, status
	t.publishLocked(event{topic: topicExit, exitStatus: status})
	close(t.done)
}

func (t *task) hasEnded() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ended
}

func (t *task) status() uint32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.exitStatus
}

// publish tells of something that happened to a running task; an ended one has told its last.
func (t *task) publish(e event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.ended {
		t.publishLocked(e)
	}
}

func (t *task) publishLocked(e event) {
	e.id, e.pid, e.namespace = t.id, t.pid, t.namespace
	t.events = append(t.events, e)
	close(t.changed)
	t.changed = make(chan struct{})
}

// since returns the events after the first n, what is closed when there are more, and
// whether there never will be.
func (t *task) since(n int) ([]event, <-chan struct{}, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.events[n:len(t.events):len(t.events)], t.changed, t.ended
}
