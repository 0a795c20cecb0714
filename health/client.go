package health

import (
	"context"
	"iter"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/internal/healthpb"
)

// Check returns the status of a service; "" is the whole program. The error is that of the call: a
// status with the code NotFound for a service of which the server knows nothing, and Unimplemented
// where the server has no health service. As a readiness probe it asks once: ready is who answers
// Serving.
func Check(ctx context.Context, client *ttrpc.Client, service string) (ServingStatus, error) {
	var resp healthpb.Response
	err := client.Call(ctx, serviceName, "Check", &healthpb.Request{Service: service}, &resp)
	return ServingStatus(resp.Status), err
}

// List returns the status of each service that has one. A server with more than 100 answers with
// the code ResourceExhausted, and older servers do not have the method: Unimplemented.
func List(ctx context.Context, client *ttrpc.Client) (map[string]ServingStatus, error) {
	var resp healthpb.ListResponse
	if err := client.Call(ctx, serviceName, "List", &healthpb.ListRequest{}, &resp); err != nil {
		return nil, err
	}
	statuses := make(map[string]ServingStatus, len(resp.Statuses))
	for service, st := range resp.Statuses {
		statuses[service] = ServingStatus(st)
	}
	return statuses, nil
}

// Watch yields the status of a service, and then each change: ServiceUnknown for one of which the
// server knows nothing yet. Who is slower than the changes gets the latest one next. The sequence
// ends when the loop is left, or with an error: what ended the call. That is ctx.Err(), a status
// with the code Unavailable where the server shuts down, and an error for which
// errors.Is(err, ttrpc.ErrClosed) holds where the connection is gone or will not take the call.
func Watch(ctx context.Context, client *ttrpc.Client, service string) iter.Seq2[ServingStatus, error] {
	return func(yield func(ServingStatus, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel() // ends the stream when the loop is left
		stream, err := client.NewStream(ctx, &ttrpc.StreamDesc{StreamingServer: true}, serviceName, "Watch", &healthpb.Request{Service: service})
		for err == nil {
			var resp healthpb.Response
			if err = stream.RecvMsg(&resp); err == nil && !yield(ServingStatus(resp.Status), nil) {
				return
			}
		}
		yield(Unknown, err)
	}
}

// WaitForServing returns nil as soon as a service is Serving. Its error is the one that ends
// [Watch]: it does not try again, so a caller who waits for a server to come up dials first.
func WaitForServing(ctx context.Context, client *ttrpc.Client, service string) error {
	for status, err := range Watch(ctx, client, service) {
		if err != nil || status == Serving {
			return err
		}
	}
	return nil // not reached: the sequence ends with an error
}
