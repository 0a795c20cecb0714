package dialer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// interruptible has f use a conn, whose deadline ends that when ctx ends. With an error the conn is
// of no further use.
func interruptible(ctx context.Context, conn interface{ SetDeadline(time.Time) error }, f func() error) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	err := f()
	if !stop() {
		return ctx.Err()
	}
	return err
}

// maxHybridAnswer is more than "OK", a number and an end of line have.
const maxHybridAnswer = 64

var (
	errHybridRefused = errors.New("the hypervisor has closed the connection: nobody listens on that port of the guest")
	errHybridAnswer  = errors.New(`the answer is not "OK"`)
)

// connectHybrid asks the hypervisor for a port of the guest. Its answer is read byte by byte: what
// follows is the guest's.
func connectHybrid(conn net.Conn, port uint64) error {
	if _, err := conn.Write([]byte("CONNECT " + strconv.FormatUint(port, 10) + "\n")); err != nil {
		return err
	}
	answer := make([]byte, 0, maxHybridAnswer)
	for len(answer) < cap(answer) {
		n, err := conn.Read(answer[len(answer) : len(answer)+1])
		answer = answer[:len(answer)+n]
		if n > 0 && answer[len(answer)-1] == '\n' {
			break
		}
		if err != nil {
			return fmt.Errorf("%w (%w)", errHybridRefused, err)
		}
	}
	if line := strings.TrimSpace(string(answer)); line != "OK" && !strings.HasPrefix(line, "OK ") {
		return fmt.Errorf("%w but %q", errHybridAnswer, line)
	}
	return nil
}
