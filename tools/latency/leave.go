//go:build unix

package main

import (
	"fmt"
	"net"
	"time"
)

// leaves measures how late a request and an answer leave their process, beside a call that lasts:
// from just before Call, and from the handler's return, to when the peer has it.
func leaves() error {
	for _, role := range []string{"caller", "caller/busy", "server", "server/busy"} {
		for _, procs := range []int{1, 2} {
			if err := leave(role, procs); err != nil {
				return fmt.Errorf("%s: %w", role, err)
			}
		}
	}
	return nil
}

func leave(role string, procs int) error {
	l, remove, err := listen()
	if err != nil {
		return err
	}
	defer remove()
	stop, err := start(role, procs, l)
	if err != nil {
		return err
	}
	defer stop()
	conn, err := l.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	if role[:6] == "caller" {
		return observeRequests(role, procs, conn)
	}
	return observeAnswers(role, procs, conn)
}

func observeRequests(role string, procs int, conn net.Conn) error {
	r := newRaw(conn)
	var all []time.Duration
	for len(all) < stamps {
		id, method, in, err := r.recvRequest()
		if err != nil {
			return err
		}
		if method == "hold" {
			continue
		}
		late, err := since(in)
		if err != nil {
			return err
		}
		all = append(all, late)
		if err := r.answer(id, ""); err != nil {
			return err
		}
	}
	printRow(fmt.Sprintf("a request leaves (%s, GOMAXPROCS=%d)", role, procs), all)
	return nil
}

func observeAnswers(role string, procs int, conn net.Conn) error {
	r := newRaw(conn)
	if err := r.request(1, "hold", ""); err != nil {
		return err
	}
	var left, round []time.Duration
	for i := range uint32(stamps) {
		sent := time.Now()
		if err := r.request(2*i+3, "stamp", ""); err != nil {
			return err
		}
		_, out, err := r.recvAnswer()
		if err != nil {
			return err
		}
		late, err := since(out)
		if err != nil {
			return err
		}
		left, round = append(left, late), append(round, time.Since(sent))
	}
	printRow(fmt.Sprintf("an answer leaves (%s, GOMAXPROCS=%d)", role, procs), left)
	printRow(fmt.Sprintf("a round trip (%s, GOMAXPROCS=%d)", role, procs), round)
	return nil
}
