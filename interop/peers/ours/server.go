package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"sort"
	"strings"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/interop/messages"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// serviceName is the service that a server has for one form of messages.
func serviceName(form string) string { return "ttrpc.interop." + form }

// serve runs a server until the parent ends.
func serve(args []string) error {
	flags := flag.NewFlagSet("server", flag.ContinueOnError)
	addr := flags.String("addr", "", "the unix socket to listen on")
	if err := flags.Parse(args); err != nil {
		return err
	}
	l, err := net.Listen("unix", *addr)
	if err != nil {
		return err
	}
	s, err := ttrpc.NewServer()
	if err != nil {
		return err
	}
	over := make(chan struct{}, 2) // the end of Close, or of a Shutdown
	held := newHolder(func() { s.Shutdown(context.Background()); over <- struct{}{} })
	register(s, paddedName, newHandlers(forms[0], held))
	var names []string
	for _, f := range forms {
		names = append(names, f.Name)
		register(s, serviceName(f.Name), newHandlers(f, held))
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(context.Background(), l) }()
	go func() {
		untilParentEnds()
		s.Close()
		over <- struct{}{}
	}()
	fmt.Println("ready", strings.Join(names, ","))
	if err := <-served; !errors.Is(err, ttrpc.ErrServerClosed) {
		return err
	}
	<-over
	return nil
}

// handlers serve the scenarios with messages of one form.
type handlers struct {
	form  messages.Form
	ended chan struct{} // capacity 1: an Until handler has seen its context end
	held  *holder
}

func newHandlers(form messages.Form, held *holder) *handlers {
	return &handlers{form, make(chan struct{}, 1), held}
}

// unary makes a method of a function on contents.
func (h *handlers) unary(f func(context.Context, messages.Item) (messages.Item, error)) ttrpc.Method {
	return func(ctx context.Context, unmarshal func(interface{}) error) (interface{}, error) {
		req := h.form.New()
		if err := unmarshal(req); err != nil {
			return nil, err
		}
		resp, err := f(ctx, h.form.Read(req))
		if err != nil {
			return nil, err
		}
		return h.form.Of(resp), nil
	}
}

// unaryMethods are what every release can serve.
func (h *handlers) unaryMethods() map[string]ttrpc.Method {
	methods := map[string]ttrpc.Method{
		"Echo":  h.unary(func(_ context.Context, i messages.Item) (messages.Item, error) { return i, nil }),
		"Sum":   h.unary(sum),
		"Big":   h.unary(big),
		"Look":  h.unary(look),
		"Fail":  h.unary(fail),
		"Until": h.unary(h.until),
		"Ended": h.unary(h.awaitEnd),
		"State": h.unary(state),
		"Nil":   func(context.Context, func(interface{}) error) (interface{}, error) { return nil, nil },
	}
	for name, f := range h.held.methods() {
		methods[name] = h.unary(f)
	}
	return methods
}

// sum answers with the length and the checksum of the data.
func sum(_ context.Context, i messages.Item) (messages.Item, error) {
	return messages.Item{Text: checksum(i.Data)}, nil
}

func checksum(data []byte) string {
	return fmt.Sprintf("%d bytes, %08x", len(data), crc32.ChecksumIEEE(data))
}

// big answers with as much data as it is asked for.
func big(_ context.Context, i messages.Item) (messages.Item, error) {
	return messages.Item{Data: pattern(int(i.Number))}, nil
}

// pattern is data of a given length in which no piece looks like another for long.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}

// look answers with what the handler's context carries.
func look(ctx context.Context, _ messages.Item) (messages.Item, error) {
	return messages.Item{Text: lookAt(ctx)}, nil
}

func lookAt(ctx context.Context) string {
	deadline, ok := ctx.Deadline()
	within := time.Until(deadline)
	md, _ := ttrpc.GetMetadata(ctx)
	var parts []string
	for k, v := range md {
		parts = append(parts, fmt.Sprintf("%s=%q", k, v))
	}
	sort.Strings(parts)
	return fmt.Sprintf(
		"deadline %t, within a minute %t, metadata [%s]", ok, ok && within > 0 && within < time.Minute,
		strings.Join(parts, " "),
	)
}

// until waits for the end of its context, and says so.
func (h *handlers) until(ctx context.Context, _ messages.Item) (messages.Item, error) {
	<-ctx.Done()
	select {
	case h.ended <- struct{}{}:
	default:
	}
	return messages.Item{}, ctx.Err()
}

// awaitEnd answers 1 when an Until handler has seen its context end since it was asked last, or
// does so within as many milliseconds as the request says; otherwise 0.
func (h *handlers) awaitEnd(_ context.Context, req messages.Item) (messages.Item, error) {
	timer := time.NewTimer(time.Duration(req.Number) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-h.ended:
		return messages.Item{Number: 1}, nil
	case <-timer.C:
		return messages.Item{}, nil
	}
}

// state answers with the process's id and its number of goroutines, after giving back what
// memory it can; asked for "stacks", with those too.
func state(_ context.Context, i messages.Item) (messages.Item, error) {
	debug.FreeOSMemory()
	state := messages.Item{Number: int64(runtime.NumGoroutine()), ID: uint32(os.Getpid())}
	if i.Text == "stacks" {
		var stacks bytes.Buffer
		pprof.Lookup("goroutine").WriteTo(&stacks, 1)
		state.Text = stacks.String()
	}
	return state, nil
}

// failures are the errors that a handler can be asked for, by name.
var failures = map[string]error{
	"plain": errors.New("plain error"), "EOF": io.EOF, "ErrUnexpectedEOF": io.ErrUnexpectedEOF,
	"ErrClosedPipe": io.ErrClosedPipe, "ErrNoProgress": io.ErrNoProgress,
	"ErrShortBuffer": io.ErrShortBuffer, "ErrShortWrite": io.ErrShortWrite,
	"ErrInvalid": os.ErrInvalid, "ErrExist": os.ErrExist, "ErrNotExist": os.ErrNotExist, "ErrPermission": os.ErrPermission,
	"Canceled": context.Canceled, "DeadlineExceeded": context.DeadlineExceeded,
	"PathError": &os.PathError{Op: "open", Path: "p", Err: os.ErrNotExist},
	"status":    status.Error(codes.NotFound, "not found"),
	"details":   detailed(),
}

// fail ends in the error that the text names.
func fail(_ context.Context, i messages.Item) (messages.Item, error) {
	if err := failures[i.Text]; err != nil {
		return messages.Item{}, err
	}
	return messages.Item{}, fmt.Errorf("no failure is called %q", i.Text)
}

func detailed() error {
	s, err := status.New(codes.Aborted, "detailed").WithDetails(
		&errdetails.RetryInfo{}, &errdetails.ResourceInfo{ResourceName: "r", Owner: "o"})
	if err != nil {
		panic(err)
	}
	return s.Err()
}

// holder keeps a call back until another one frees it.
type holder struct {
	entered, free, left chan struct{} // capacity 1
	shutdown            func()        // of the server
}

func newHolder(shutdown func()) *holder {
	return &holder{make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{}, 1), shutdown}
}

// leaveTime is how long a call is kept back once the server shuts down: longer than the originals
// take to look for idle connections.
const leaveTime = time.Second

// methods are those of the holder: "Hold" is kept back, "Held" answers when it is, "Free" ends it,
// and "Leave" shuts the server down and ends it then.
func (h *holder) methods() map[string]func(context.Context, messages.Item) (messages.Item, error) {
	answer := func(f func()) func(context.Context, messages.Item) (messages.Item, error) {
		return func(_ context.Context, i messages.Item) (messages.Item, error) { f(); return i, nil }
	}
	return map[string]func(context.Context, messages.Item) (messages.Item, error){
		"Hold": answer(func() { h.entered <- struct{}{}; <-h.free; h.left <- struct{}{} }),
		"Held": answer(func() { <-h.entered }),
		"Free": answer(func() { h.free <- struct{}{}; <-h.left }),
		"Leave": answer(func() {
			go h.shutdown()
			time.AfterFunc(leaveTime, func() { h.free <- struct{}{} })
		}),
	}
}
