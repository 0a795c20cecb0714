//go:build go1.25

package health_test

import (
	"context"
	"fmt"

	"github.com/containerd/ttrpc/health"
)

// A client follows a service until the loop is left.
func ExampleWatch() {
	client, status, stop := start()
	defer stop()

	for st, err := range health.Watch(context.Background(), client, "example.Greeter") {
		fmt.Println(st, err)
		if st == health.NotServing {
			break
		}
		if st == health.ServiceUnknown {
			status.SetServingStatus("example.Greeter", health.Serving)
		} else {
			status.Shutdown()
		}
	}
	// Output:
	// SERVICE_UNKNOWN <nil>
	// SERVING <nil>
	// NOT_SERVING <nil>
}

// A program waits for what it depends on. The context bounds the waiting.
func ExampleWaitForServing() {
	client, status, stop := start()
	defer stop()

	go status.SetServingStatus("example.Greeter", health.Serving)
	fmt.Println(health.WaitForServing(context.Background(), client, "example.Greeter"))
	// Output: <nil>
}
