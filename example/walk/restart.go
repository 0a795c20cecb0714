package walk

import (
	"context"
	"fmt"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/pkg/errors"
)

// callsBefore is how many calls the first server answers before it is asked to end.
const callsBefore = 100

// restart makes calls without a pause, asks the server to end meanwhile, and goes on until another
// one, which somebody starts at the same address, has answered. The client dials itself. No call
// fails: those that the first server has begun are answered, and all others are made again at the
// second.
func (w *walker) restart(ctx context.Context) error {
	return w.line("Create, and Shutdown meanwhile", func() (string, error) {
		shut := make(chan error, 1)
		var last created
		for calls := 1; ; calls++ {
			got, err := w.create(ctx, fmt.Sprint(w.id(), "-", calls), time.Millisecond, nil)
			switch {
			case err != nil:
				return "", errors.Wrapf(err, "call %d", calls)
			case calls == callsBefore:
				go func() { shut <- w.shutdown(ctx) }()
			case got.pid <= last.pid: // each server counts for itself
				return fmt.Sprintf("%d calls at two servers, none failed", calls), errors.Wrap(<-shut, "shutdown")
			}
			last = got
		}
	})
}

// restarted has the server restart under a client that dials itself, and returns one that is
// connected to the next server.
func restarted(ctx context.Context, config Config) (*walker, error) {
	c, err := ttrpc.Dial(ctx, config.Restart, ttrpc.WithWaitForReady(), ttrpc.WithBackoff(ttrpc.Backoff{Base: 10 * time.Millisecond}))
	if err != nil {
		return nil, errors.Wrap(err, "dial")
	}
	defer c.Close()
	w := &walker{stubs: newGoogleStubs(c), kind: "google", out: config.Out, conn: c}
	if err := w.take(ctx, restartStep); err != nil {
		return nil, err
	}
	next, err := Dial(ctx, config.Restart)
	if err != nil {
		return nil, err
	}
	return &walker{stubs: newGoogleStubs(next), kind: "google", out: config.Out, conn: next}, nil
}
