package peer

import "strings"

// A Fault is something that releases are known to do otherwise. What the client sees then
// is as much a part of the test as what it should see.
type Fault struct {
	Scenario string
	// client and server are the releases it applies to, by a common prefix of their names.
	client, server string
	Got, Why       string
}

// knownFaults are the originals'. There is none of ours, and there must be none.
//
// A client of v1.0 or v1.1 that crashes does so in its receiving goroutine. Its calls may
// see ErrClosed first and the process end some scenarios later.
var knownFaults = []Fault{
	{Scenario: "sizes/request-over-limit", client: "v1.0", Got: overLimit + ", connection alive", Why: "no error type of its own yet"},
	{Scenario: "sizes/request-over-limit", client: "v1.1", Got: overLimit + ", connection alive", Why: "no error type of its own yet"},
	{
		Scenario: "sizes/reply-over-limit", server: "v1.2", Got: "ErrClosed, connection gone: ErrClosed",
		Why: "the server closes the connection",
	},
	{
		Scenario: "sizes/reply-over-limit", client: "v1.", server: "v1.", Got: "ErrClosed, connection gone: ErrClosed",
		Why: "the client crashes",
	},
	{Scenario: everyScenario, client: "v1.0", server: "v1.", Got: overLimitPanic, Why: "the client crashes on a reply over the limit"},
	{Scenario: everyScenario, client: "v1.1", server: "v1.", Got: overLimitPanic, Why: "the client crashes on a reply over the limit"},
	{Scenario: "status/details", client: "v1.1", Got: "error: ErrClosed", Why: "the client crashes, gogo reflecting over newer messages"},
	{
		Scenario: everyScenario, client: "v1.1", Got: "panic: protobuf tag not enough fields in Any.state:",
		Why: "the client crashes on a status with details, gogo reflecting over newer messages",
	},
	{Scenario: "unknown/service", server: "v1.0", Got: "error: NotFound: service none", Why: "another code"},
	{Scenario: "unknown/method", server: "v1.0", Got: "error: NotFound: method none", Why: "another code"},
	{
		Scenario: "messages/nil-reply", server: "v1.", Got: "error: Unknown: ttrpc: marshal called with nil",
		Why: "the method is not named",
	},
	{Scenario: "concurrent/1000", client: "v1.0", server: "v1.", Got: "hangs", Why: "both sides wait for the other to read"},
	{
		Scenario: "stream/server-over-limit", server: "v1.2", Got: "ErrClosed, connection gone: ErrClosed",
		Why: "the server closes the connection",
	},
	{
		Scenario: "stream/deadline-and-metadata", client: "v1.2",
		Got: "deadline false, within a minute false, metadata []", Why: "streams send neither",
	},
	{
		Scenario: "shutdown/in-flight", server: "v1.2", Got: "held error: ErrClosed",
		Why: "seldom, on a busy machine: Shutdown cuts a call in flight",
	},
}

// everyScenario stands for every scenario.
const everyScenario = "*"

const overLimit = "ResourceExhausted: message length 4194305 exceed maximum message size of 4194304"

const overLimitPanic = "panic: runtime error: slice bounds out of range [:4194305] with capacity 0"

// KnownFaults returns the list.
func KnownFaults() []Fault { return knownFaults }

// Known returns the fault that explains a Result, or nil.
func Known(client, server string, r Result) *Fault {
	for i, f := range knownFaults {
		if (f.Scenario == r.Scenario || f.Scenario == everyScenario) && f.Got == r.Got &&
			strings.HasPrefix(client, f.client) && strings.HasPrefix(server, f.server) {
			return &knownFaults[i]
		}
	}
	return nil
}
