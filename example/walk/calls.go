package walk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/pkg/errors"

	"github.com/containerd/ttrpc/example/shim"
)

// credentials shows what the server's handshake learned of this process.
func (w *walker) credentials(ctx context.Context) error {
	return w.line("Create", func() (string, error) {
		got, err := w.create(ctx, w.id(), time.Millisecond, nil)
		switch {
		case err != nil:
			return "", err
		case got.peerUID < 0:
			return "no handshake on this server", nil
		case got.peerUID != int64(os.Getuid()):
			return "", errors.Errorf("the server takes us for user %d; we are %d", got.peerUID, os.Getuid())
		}
		return fmt.Sprintf("the server's handshake saw user %d, our own", got.peerUID), nil
	})
}

func (w *walker) unary(ctx context.Context) error {
	id := w.id()
	err := w.line("Create(1,000 bytes)", func() (string, error) {
		got, err := w.create(ctx, id, 0, make([]byte, 1000))
		if err == nil && got.specBytes != 1000 {
			err = errors.Errorf("the server counted %d bytes of 1,000", got.specBytes)
		}
		return fmt.Sprintf("pid %d", got.pid), err
	})
	if err != nil {
		return err
	}
	if err := w.kill(ctx, id); err != nil {
		return errors.Wrap(err, "kill")
	}
	return w.line("Wait", func() (string, error) {
		exit, err := w.wait(ctx, id)
		return expectExit(exit, 137, err)
	})
}

// metadata sends a namespace beside the message, as containerd does.
func (w *walker) metadata(ctx context.Context) error {
	md := ttrpc.MD{}
	md.Set(shim.NamespaceKey, "k8s.io")
	ctx = ttrpc.WithMetadata(ctx, md)
	return w.line("Create + "+shim.NamespaceKey, func() (string, error) {
		got, err := w.create(ctx, w.id(), time.Millisecond, nil)
		if err == nil && got.namespace != "k8s.io" {
			err = errors.Errorf("the server read %q", got.namespace)
		}
		return "the server read " + got.namespace, err
	})
}

// serverStream follows a short task's events: typed messages in an Any, unpacked by typeurl.
func (w *walker) serverStream(ctx context.Context) error {
	id := w.id()
	if _, err := w.create(ctx, id, 5*time.Millisecond, nil); err != nil {
		return errors.Wrap(err, "create")
	}
	return w.line("Events", func() (string, error) {
		stream, err := w.events(ctx, id)
		if err != nil {
			return "", err
		}
		return expectEvents(stream, "TaskCreated{", "TaskExited{status 0}")
	})
}

// clientStream sends pieces and checks the server's digest of them.
func (w *walker) clientStream(ctx context.Context) error {
	const pieces, pieceLen = 16, 64 << 10
	return w.line("Import(16 pieces of 64 KiB)", func() (string, error) {
		stream, err := w.imports(ctx)
		if err != nil {
			return "", err
		}
		sum := sha256.New()
		for i := range pieces {
			piece := bytes.Repeat([]byte{byte(i)}, pieceLen)
			sum.Write(piece)
			if err := stream.send(piece); err != nil {
				return "", errors.Wrapf(err, "piece %d", i)
			}
		}
		size, digest, err := stream.done()
		want := hex.EncodeToString(sum.Sum(nil))
		if err == nil && (size != pieces*pieceLen || digest != want) {
			err = errors.Errorf("the server got %d bytes, digest %s; we sent %s", size, digest, want)
		}
		return fmt.Sprintf("%d bytes, sha256 %.8s, as sent", size, digest), err
	})
}

// bothStreams talks to a task's terminal: each line is answered before the next is sent.
func (w *walker) bothStreams(ctx context.Context) error {
	return w.line("Attach(3 lines)", func() (string, error) {
		stream, err := w.attach(ctx)
		if err != nil {
			return "", err
		}
		var came []string
		for _, line := range []string{"one", "two", "three"} {
			if err := stream.send(line); err != nil {
				return "", err
			}
			answer, err := stream.recv()
			if err != nil {
				return "", err
			}
			came = append(came, answer)
		}
		if err := stream.closeSend(); err != nil {
			return "", err
		}
		if answer, err := stream.recv(); !errors.Is(err, io.EOF) {
			return "", errors.Errorf("want the end of the stream, got %q and error %v", answer, err)
		}
		if got := fmt.Sprint(came); got != "[ONE TWO THREE]" {
			return "", errors.Errorf("answers %s", got)
		}
		return fmt.Sprintf("%s, then the end of the stream", came), nil
	})
}

// paused sends lines, 16 MiB of them, whose answers nobody takes meanwhile: the peers stop each
// other at the stream's window, other calls go on, and all answers come once they are taken.
func (w *walker) paused(ctx context.Context) error {
	const lines, size = 1000, 16 << 10
	stream, err := w.attach(ctx)
	if err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() { sent <- sendLines(stream, lines, size) }()
	err = w.line("Logs, beside an unread stream", func() (string, error) {
		err := w.withTask(ctx, func(id string) error {
			_, err := w.logs(ctx, id, 1_000_000)
			return err
		})
		return "1000000 bytes", err
	})
	if err != nil {
		return err
	}
	return w.line("Attach(1,000 lines), taken late", func() (string, error) {
		for i := range lines {
			answer, err := stream.recv()
			if err != nil {
				return "", err
			}
			if want := fmt.Sprint("LINE ", i, " "); len(answer) < size || !strings.HasPrefix(answer, want) {
				return "", errors.Errorf("answer %d is %.20q", i, answer)
			}
		}
		return fmt.Sprintf("%d answers, in order", lines), <-sent
	})
}

// sendLines sends lines with their numbers, and ends the client's half.
func sendLines(stream attachStream, lines, size int) error {
	for i := range lines {
		if err := stream.send(fmt.Sprint("line ", i, " ", strings.Repeat(".", size))); err != nil {
			return err
		}
	}
	return stream.closeSend()
}
