//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	warm = 64                   // answered calls before each that is not
	into = 2 * time.Millisecond // its wait, when it is cancelled
)

// cancels measures the time from a cancel to the return of a lone call that nobody answers.
func cancels() error {
	l, remove, err := listen()
	if err != nil {
		return err
	}
	defer remove()
	conn, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		return err
	}
	peer, err := l.Accept()
	if err != nil {
		return err
	}
	defer peer.Close()
	arrived := make(chan struct{}, rounds)
	go answerEchoes(newRaw(peer), arrived)
	client := ttrpc.NewClient(conn)
	defer client.Close()
	var all []time.Duration
	for range rounds {
		for range warm {
			if _, err := call(client, "echo", ""); err != nil {
				return err
			}
		}
		late, err := cancelOne(client, arrived)
		if err != nil {
			return err
		}
		all = append(all, late)
	}
	printRow("a cancelled lone call returns", all)
	return nil
}

// answerEchoes answers quick calls and says when another has come.
func answerEchoes(r *raw, arrived chan<- struct{}) {
	for {
		id, method, _, err := r.recvRequest()
		if err != nil {
			return
		}
		if method == "echo" {
			_ = r.answer(id, "")
			continue
		}
		arrived <- struct{}{}
	}
}

func cancelOne(client *ttrpc.Client, arrived <-chan struct{}) (time.Duration, error) {
	ctx, cancel := context.WithCancel(context.Background())
	type result struct {
		at  time.Time
		err error
	}
	returned := make(chan result, 1)
	go func() {
		err := client.Call(ctx, service, "hang", wrapperspb.String(""), new(wrapperspb.StringValue))
		returned <- result{time.Now(), err}
	}()
	<-arrived
	<-time.NewTimer(into).C
	start := time.Now()
	cancel()
	r := <-returned
	if !errors.Is(r.err, context.Canceled) {
		return 0, fmt.Errorf("the call returned %w", r.err)
	}
	return r.at.Sub(start), nil
}
