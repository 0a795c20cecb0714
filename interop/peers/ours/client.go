package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/interop/messages"
	"google.golang.org/grpc/status"
)

// A scenario is one thing to try against a server; its result is what it saw, which the
// tests compare with what is wanted of these two releases.
type scenario struct {
	name string
	want string
	run  func(*session) (string, error)
}

// scenarios are tried in this order; streams.go adds to them.
var scenarios = unaryScenarios

// A session is one connection of a scenario, with the forms in use on either side.
type session struct {
	client *ttrpc.Client
	form   messages.Form // of the client
	forms  []string      // of the server
}

// Result is what a client prints for each scenario, as a line of JSON: once before it, so
// that a crash is known by what is missing, and once behind it.
type Result struct {
	Scenario, Want, Got string
}

// scenarioPatience bounds a scenario; a longer one is reported as a hang.
const scenarioPatience = patience(10 * time.Second)

// runClient runs the scenarios against a server and prints the results.
func runClient(args []string) error {
	flags := flag.NewFlagSet("client", flag.ContinueOnError)
	addr := flags.String("addr", "", "the server's unix socket")
	theirs := flags.String("forms", "", "the forms of messages that the server has, by commas")
	only := flags.String("run", "", "only scenarios whose names begin so")
	not := flags.String("skip", "", "no scenarios whose names begin so; several by commas")
	from := flags.Int("from", 0, "leave out so many scenarios")
	all := flags.Bool("recorded", false, "also the scenarios that are there to be recorded; the last ends the server")
	if err := flags.Parse(args); err != nil {
		return err
	}
	go func() {
		untilParentEnds()
		os.Exit(1)
	}()
	if *all {
		scenarios = append(scenarios, recordedScenarios...)
	}
	out := json.NewEncoder(os.Stdout)
	for _, sc := range scenarios[*from:] {
		if !strings.HasPrefix(sc.name, *only) || beginsWithOne(sc.name, *not) {
			continue
		}
		r := Result{Scenario: sc.name, Want: sc.want}
		if err := out.Encode(r); err != nil {
			return err
		}
		r.Got = try(sc, *addr, strings.Split(*theirs, ","))
		if err := out.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// beginsWithOne reports whether a name begins with one of the prefixes, which commas separate.
func beginsWithOne(name, prefixes string) bool {
	for _, prefix := range strings.Split(prefixes, ",") {
		if prefix != "" && strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// try runs one scenario on a connection of its own.
func try(sc scenario, addr string, theirs []string) string {
	conn, err := net.Dial("unix", addr)
	if err != nil {
		return "dial: " + err.Error()
	}
	s := &session{client: ttrpc.NewClient(conn), form: forms[0], forms: theirs}
	defer s.client.Close()
	var got string
	if !scenarioPatience.run(func() { got, err = sc.run(s) }) {
		return "hangs"
	}
	if err != nil {
		got = strings.TrimSpace(got + " error: " + saw(err))
	}
	return got
}

// call makes a call to the server's first service.
func (s *session) call(ctx context.Context, method string, req messages.Item) (messages.Item, error) {
	return s.callForm(ctx, s.form, s.forms[0], method, req)
}

// callForm makes a call with a form of messages, to the service of another.
func (s *session) callForm(ctx context.Context, mine messages.Form, theirs, method string, req messages.Item) (messages.Item, error) {
	resp := mine.New()
	if err := s.client.Call(ctx, serviceName(theirs), method, mine.Of(req), resp); err != nil {
		return messages.Item{}, err
	}
	return mine.Read(resp), nil
}

// alive says whether a call on the same connection works.
func (s *session) alive() string {
	ctx, cancel := (scenarioPatience / 2).context()
	defer cancel()
	if _, err := s.call(ctx, "Echo", messages.Item{}); err != nil {
		return "connection gone: " + saw(err)
	}
	return "connection alive"
}

// saw describes an error by what user code can tell of it.
func saw(err error) string {
	switch {
	case err == nil:
		return "no error"
	case err == context.DeadlineExceeded || err == context.Canceled:
		return "context: " + err.Error()
	case errors.Is(err, ttrpc.ErrClosed):
		return "ErrClosed"
	}
	if n, ok := oversized(err); ok {
		return fmt.Sprint("oversized ", n)
	}
	st, ok := status.FromError(err)
	if !ok {
		return "not a status: " + err.Error()
	}
	return strings.TrimSpace(fmt.Sprintf("%v: %s %s", st.Code(), st.Message(), details(st)))
}

// oversized gives the length that an error says was too large, in releases that have such an error.
var oversized = func(error) (int, bool) { return 0, false }

// details prints the details of a status in a form that no generator changes.
func details(st *status.Status) string {
	var b bytes.Buffer
	for _, d := range st.Details() {
		if r, ok := d.(interface{ GetResourceName() string }); ok {
			fmt.Fprintf(&b, "[resource %s]", r.GetResourceName())
		} else {
			fmt.Fprintf(&b, "[%T]", d)
		}
	}
	return b.String()
}
