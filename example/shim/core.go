package shim

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strings"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/pkg/errors"
)

// NamespaceKey is the metadata key that Create reads a task's namespace from.
const NamespaceKey = "example-namespace"

// maxLog is the most that Logs returns: more than a frame holds, so that the limit can be tried.
const maxLog = 8 << 20

// core does what the calls ask for. Each kind of stub is a thin front end of it: google.go,
// gogo.go.
type core struct {
	*store
	stop func() // starts the server's graceful end and returns at once
}

func (c core) create(ctx context.Context, id string, runMillis uint32) (*task, error) {
	namespace, _ := ttrpc.GetMetadataValue(ctx, NamespaceKey)
	return c.store.create(id, namespace, time.Duration(runMillis)*time.Millisecond)
}

// logs pretends that the task wrote n bytes.
func (c core) logs(id string, n uint32) ([]byte, error) {
	if _, err := c.find(id); err != nil {
		return nil, err
	}
	if n > maxLog {
		return nil, errors.Wrapf(errTooMuch, "logs of %s", id)
	}
	return bytes.Repeat([]byte{'.'}, int(n)), nil
}

// imports reads pieces until the client has sent its last, and returns their size and digest.
func (c core) imports(recv func() ([]byte, error)) (size uint64, digest string, err error) {
	sum := sha256.New()
	for {
		piece, err := recv()
		if errors.Is(err, io.EOF) {
			return size, hex.EncodeToString(sum.Sum(nil)), nil
		}
		if err != nil {
			return 0, "", errors.Wrap(err, "import")
		}
		size += uint64(len(piece))
		sum.Write(piece)
	}
}

// attach answers line by line, until the client has sent its last.
func (c core) attach(recv func() (string, error), send func(string) error) error {
	for {
		line, err := recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return errors.Wrap(err, "attach")
		}
		if err := send(strings.ToUpper(line)); err != nil {
			return errors.Wrap(err, "attach")
		}
	}
}
