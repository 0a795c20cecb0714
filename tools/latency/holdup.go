//go:build unix

package main

import (
	"fmt"
	"time"
)

const (
	quickRuns = 10_000 // before the first slow one
	between   = 1000   // quick runs between slow ones
	rounds    = 300
	behind    = 200 * time.Microsecond // after a slow request the other one follows
	atLeast   = 30 * time.Millisecond  // that a slow handler runs after it was overtaken
)

// holdUps measures how long a request waits behind a handler of the same connection, which had been
// quick.
func holdUps() error {
	for _, slow := range []string{"computing 5ms", "computing long", "waiting 5ms", "waiting long"} {
		if err := holdUp(slow); err != nil {
			return err
		}
	}
	return nil
}

func holdUp(slow string) error {
	l, remove, err := listen()
	if err != nil {
		return err
	}
	defer remove()
	stop, err := start("server", 0, l)
	if err != nil {
		return err
	}
	defer stop()
	observed, err := l.Accept()
	if err != nil {
		return err
	}
	releasing, err := l.Accept()
	if err != nil {
		return err
	}
	h := &holder{raw: newRaw(observed), other: newRaw(releasing), id: 1, otherID: 1}
	all, err := h.measure(slow)
	if err != nil {
		return fmt.Errorf("%s: %w", slow, err)
	}
	printRow("a request behind a handler "+slow, all)
	return nil
}

// holder makes the calls of one measurement.
type holder struct {
	*raw
	other       *raw // to release what this one waits for
	id, otherID uint32
}

func (h *holder) measure(slow string) (all []time.Duration, err error) {
	quick := quickRuns
	for range rounds {
		for range quick {
			if err := h.call("work", ""); err != nil {
				return nil, err
			}
		}
		quick = between
		waited, err := h.overtake(slow)
		if err != nil {
			return nil, err
		}
		all = append(all, waited)
	}
	return all, nil
}

func (h *holder) call(method, in string) error {
	if err := h.request(h.id, method, in); err != nil {
		return err
	}
	h.id += 2
	_, _, err := h.recvAnswer()
	return err
}

// overtake sends a slow request and then another, for which it measures.
func (h *holder) overtake(slow string) (waited time.Duration, err error) {
	slowID := h.id
	if err := h.request(slowID, "work", slow); err != nil {
		return 0, err
	}
	for sent := time.Now(); time.Since(sent) < behind; {
	}
	sent := time.Now()
	if err := h.request(slowID+2, "echo", ""); err != nil {
		return 0, err
	}
	h.id += 4
	release := time.AfterFunc(time.Second, h.release) // the longest that it can take
	for range 2 {
		id, _, err := h.recvAnswer()
		if err != nil {
			return 0, err
		}
		if id == slowID {
			continue
		}
		waited = time.Since(sent)
		if slow[len(slow)-4:] == "long" && release.Stop() {
			time.AfterFunc(atLeast, h.release)
		}
	}
	if slow[len(slow)-4:] != "long" {
		release.Stop()
	}
	return waited, nil
}

func (h *holder) release() {
	_ = h.other.request(h.otherID, "release", "")
	h.otherID += 2
	_, _, _ = h.other.recvAnswer()
}
