package services

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	grpchealth "google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/health"
)

// healthWorld is a health server and what its client sees of it, as text.
type healthWorld struct {
	set              func(service string, status int32)
	shutdown, resume func()
	check            func(service string) string
	list             func() string
	watch            func(service string) (next func() string)
}

const healthService = "grpc.health.v1.Health"

// ours is package health's server, asked with grpc's messages.
func ours(t *testing.T) healthWorld {
	s := health.NewServer()
	client := overTTRPC(t, s.Register)
	return healthWorld{
		set:      func(service string, status int32) { s.SetServingStatus(service, health.ServingStatus(status)) },
		shutdown: s.Shutdown, resume: s.Resume,
		check: func(service string) string {
			resp := new(grpc_health_v1.HealthCheckResponse)
			err := client.Call(t.Context(), healthService, "Check", &grpc_health_v1.HealthCheckRequest{Service: service}, resp)
			return outcome(resp.GetStatus(), err)
		},
		list: func() string {
			resp := new(grpc_health_v1.HealthListResponse)
			err := client.Call(t.Context(), healthService, "List", new(grpc_health_v1.HealthListRequest), resp)
			return outcome(listText(resp), err)
		},
		watch: func(service string) func() string {
			stream, err := client.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingServer: true}, healthService, "Watch",
				&grpc_health_v1.HealthCheckRequest{Service: service})
			check(t, err)
			return func() string {
				resp := new(grpc_health_v1.HealthCheckResponse)
				err := stream.RecvMsg(resp)
				return outcome(resp.GetStatus(), err)
			}
		},
	}
}

// theirs is grpc-go.
func theirs(t *testing.T) healthWorld {
	s := grpchealth.NewServer()
	client := grpc_health_v1.NewHealthClient(overGRPC(t, func(g *grpc.Server) { grpc_health_v1.RegisterHealthServer(g, s) }))
	w := grpcHealthWorld(s)
	w.check = func(service string) string {
		resp, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: service})
		return outcome(resp.GetStatus(), err)
	}
	w.list = func() string {
		resp, err := client.List(t.Context(), new(grpc_health_v1.HealthListRequest))
		return outcome(listText(resp), err)
	}
	w.watch = func(service string) func() string {
		stream, err := client.Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: service})
		check(t, err)
		return func() string {
			resp, err := stream.Recv()
			return outcome(resp.GetStatus(), err)
		}
	}
	return w
}

// ourClient is package health's client with grpc-go's server, whose methods a ttrpc server serves.
func ourClient(t *testing.T) healthWorld {
	s := grpchealth.NewServer()
	client := overTTRPC(t, func(server *ttrpc.Server) { server.RegisterService(healthService, grpcHealthDesc(s)) })
	w := grpcHealthWorld(s)
	w.check = func(service string) string { return outcomeOf(health.Check(t.Context(), client, service)) }
	w.list = func() string {
		statuses, err := health.List(t.Context(), client)
		var lines []string
		for _, service := range slices.Sorted(maps.Keys(statuses)) {
			lines = append(lines, fmt.Sprint(service, ": ", statuses[service]))
		}
		return outcome(strings.Join(lines, ", "), err)
	}
	w.watch = func(service string) func() string {
		next, stop := iter.Pull2(health.Watch(t.Context(), client, service))
		t.Cleanup(stop)
		return func() string {
			st, err, _ := next()
			return outcome(st, err)
		}
	}
	return w
}

func grpcHealthWorld(s *grpchealth.Server) healthWorld {
	return healthWorld{
		set: func(service string, status int32) {
			s.SetServingStatus(service, grpc_health_v1.HealthCheckResponse_ServingStatus(status))
		},
		shutdown: s.Shutdown, resume: s.Resume,
	}
}

// grpcHealthDesc has a ttrpc server serve grpc-go's health server.
func grpcHealthDesc(s *grpchealth.Server) *ttrpc.ServiceDesc {
	return &ttrpc.ServiceDesc{
		Methods: map[string]ttrpc.Method{
			"Check": func(ctx context.Context, unmarshal func(any) error) (any, error) {
				req := new(grpc_health_v1.HealthCheckRequest)
				if err := unmarshal(req); err != nil {
					return nil, err
				}
				return s.Check(ctx, req)
			},
			"List": func(ctx context.Context, unmarshal func(any) error) (any, error) {
				req := new(grpc_health_v1.HealthListRequest)
				if err := unmarshal(req); err != nil {
					return nil, err
				}
				return s.List(ctx, req)
			},
		},
		Streams: map[string]ttrpc.Stream{"Watch": {
			Handler: func(ctx context.Context, stream ttrpc.StreamServer) (any, error) {
				req := new(grpc_health_v1.HealthCheckRequest)
				if err := stream.RecvMsg(req); err != nil {
					return nil, err
				}
				return nil, s.Watch(req, &watchServer{ctx: ctx, stream: stream})
			},
			StreamingServer: true,
		}},
	}
}

// watchServer is grpc's side of a ttrpc stream.
type watchServer struct {
	grpc.ServerStream
	ctx    context.Context
	stream ttrpc.StreamServer
}

func (w *watchServer) Context() context.Context                         { return w.ctx }
func (w *watchServer) Send(m *grpc_health_v1.HealthCheckResponse) error { return w.stream.SendMsg(m) }

func listText(resp *grpc_health_v1.HealthListResponse) string {
	var lines []string
	for _, service := range slices.Sorted(maps.Keys(resp.GetStatuses())) {
		lines = append(lines, fmt.Sprint(service, ": ", resp.Statuses[service].GetStatus()))
	}
	return strings.Join(lines, ", ")
}

func outcomeOf[T any](v T, err error) string { return outcome(v, err) }

func outcome(v any, err error) string {
	if err != nil {
		st := status.Convert(err)
		return fmt.Sprintf("%v %q", st.Code(), st.Message())
	}
	return fmt.Sprint(v)
}

// healthScript asks a server all that there is, and returns what it says.
func healthScript(w healthWorld) (log []string) {
	say := func(what string) { log = append(log, what) }
	say(w.check(""))
	say(w.check("a"))
	say(w.list())
	whole, a := w.watch(""), w.watch("a")
	say(whole())
	say(a())
	for _, status := range []int32{1, 2, 0, 3, 17, -1} {
		w.set("a", status)
		say(w.check("a"))
		say(a())
	}
	w.set("b", 1)
	say(w.list())
	w.shutdown()
	say(whole())
	say(a())
	w.set("b", 1)
	w.set("c", 1)
	say(w.check("b"))
	say(w.check("c"))
	w.resume()
	say(whole())
	say(a())
	say(w.list())
	for i := range 98 {
		w.set(fmt.Sprint("more ", i), 2)
	}
	say(w.list())
	return log
}

// TestHealth holds that package health's server says what grpc-go's says, to grpc's messages, and
// that its client understands grpc-go's server.
func TestHealth(t *testing.T) {
	want := healthScript(theirs(t))
	t.Log(strings.Join(want, "\n"))
	for name, world := range map[string]func(t *testing.T) healthWorld{"server": ours, "client": ourClient} {
		t.Run(name, func(t *testing.T) {
			if got := healthScript(world(t)); !slices.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}
