package otelttrpc

import (
	"net"
	"os"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"google.golang.org/grpc/codes"

	"github.com/containerd/ttrpc"
)

const (
	system         = attribute.Key("rpc.system.name")
	method         = attribute.Key("rpc.method")
	methodOriginal = attribute.Key("rpc.method_original")
	statusCode     = attribute.Key("rpc.response.status_code")
	errorType      = attribute.Key("error.type")

	oldSystem     = attribute.Key("rpc.system")
	oldService    = attribute.Key("rpc.service")
	oldStatusCode = attribute.Key("rpc.ttrpc.status_code")

	messageID       = attribute.Key("rpc.message.id")
	messageSize     = attribute.Key("rpc.message.uncompressed_size")
	messageWireSize = attribute.Key("rpc.message.compressed_size")
)

var (
	sent     = attribute.String("rpc.message.type", "SENT")
	received = attribute.String("rpc.message.type", "RECEIVED")
)

// naming says which conventions' names are used.
type naming struct{ current, old bool }

func optIn() string { return os.Getenv("OTEL_SEMCONV_STABILITY_OPT_IN") }

// namingOf reads the value of OTEL_SEMCONV_STABILITY_OPT_IN. rpc/dup counts before all others.
func namingOf(list string) naming {
	names := naming{current: true}
	for _, value := range strings.Split(list, ",") {
		switch strings.TrimSpace(value) {
		case "rpc/dup":
			return naming{current: true, old: true}
		case "rpc/old":
			names = naming{old: true}
		}
	}
	return names
}

// plainMethod is "service/method".
func plainMethod(info *ttrpc.CallInfo) string { return strings.TrimPrefix(info.FullMethod, "/") }

// spanName is the method's, but for one that a client has made up.
func spanName(info *ttrpc.CallInfo) string {
	if info.Unregistered {
		return "ttrpc"
	}
	return plainMethod(info)
}

// methodAttributes are of few values, for metrics: a method that there is none of is _OTHER.
func methodAttributes(info *ttrpc.CallInfo) []attribute.KeyValue {
	name := plainMethod(info)
	if info.Unregistered {
		name = "_OTHER"
	}
	return []attribute.KeyValue{system.String("ttrpc"), method.String(name)}
}

func oldMethodAttributes(info *ttrpc.CallInfo) []attribute.KeyValue {
	if info.Unregistered {
		return []attribute.KeyValue{oldSystem.String("ttrpc")}
	}
	service, name, _ := strings.Cut(plainMethod(info), "/")
	return []attribute.KeyValue{oldSystem.String("ttrpc"), oldService.String(service), method.String(name)}
}

// outcomeAttributes has the code in the form of gRPC's documents, such as NOT_FOUND.
func outcomeAttributes(code codes.Code, failed bool) []attribute.KeyValue {
	name := "CODE(" + strconv.Itoa(int(code)) + ")"
	if int(code) < len(codeNames) {
		name = codeNames[code]
	}
	attributes := []attribute.KeyValue{statusCode.String(name)}
	if failed {
		attributes = append(attributes, errorType.String(name))
	}
	return attributes
}

var codeNames = [...]string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
	"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
	"UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
}

// peerAttributes says where the other end is. A client's other end is the server, which has
// server.address, too. The end of an unnamed unix socket says nothing.
func peerAttributes(e *ttrpc.CallEnd) []attribute.KeyValue {
	if e.RemoteAddr == nil {
		return nil
	}
	network, address := e.RemoteAddr.Network(), e.RemoteAddr.String()
	var attributes []attribute.KeyValue
	if network == "tcp" || network == "unix" || network == "pipe" {
		attributes = append(attributes, attribute.String("network.transport", network))
	}
	prefixes := []string{"network.peer."}
	if e.Client {
		prefixes = append(prefixes, "server.")
	}
	host, port, err := net.SplitHostPort(address)
	number, _ := strconv.Atoi(port)
	if network != "tcp" || err != nil {
		host, number = address, 0
	}
	for _, prefix := range prefixes {
		if host != "" && host != "@" {
			attributes = append(attributes, attribute.String(prefix+"address", host))
		}
		if number > 0 {
			attributes = append(attributes, attribute.Int(prefix+"port", number))
		}
	}
	return attributes
}

// serverOnly are those of a client's measurements: a server's have no address, for there are any
// number of clients.
func serverOnly(e *ttrpc.CallEnd, peer []attribute.KeyValue) (attributes []attribute.KeyValue) {
	for _, kv := range peer {
		if e.Client && strings.HasPrefix(string(kv.Key), "server.") {
			attributes = append(attributes, kv)
		}
	}
	return attributes
}

// instruments are the histograms of both sides.
type instruments struct {
	client, server       metric.Float64Histogram // nil without the current names
	oldClient, oldServer metric.Int64Histogram   // nil without the old ones
}

// seconds are the boundaries that the conventions want.
var seconds = metric.WithExplicitBucketBoundaries(
	0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)

func newInstruments(m metric.Meter, names naming) (i instruments) {
	var failed [4]error
	if names.current {
		i.client, failed[0] = m.Float64Histogram("rpc.client.call.duration", metric.WithUnit("s"), seconds,
			metric.WithDescription("Measures the duration of an outgoing Remote Procedure Call (RPC)."))
		i.server, failed[1] = m.Float64Histogram("rpc.server.call.duration", metric.WithUnit("s"), seconds,
			metric.WithDescription("Measures the duration of an incoming Remote Procedure Call (RPC)."))
	}
	if names.old {
		i.oldClient, failed[2] = m.Int64Histogram("rpc.client.duration", metric.WithUnit("ms"))
		i.oldServer, failed[3] = m.Int64Histogram("rpc.server.duration", metric.WithUnit("ms"))
	}
	for _, err := range failed {
		if err != nil {
			otel.Handle(err) // the instrument does nothing then
		}
	}
	return i
}

func (i *instruments) current(client bool) metric.Float64Histogram {
	if client {
		return i.client
	}
	return i.server
}

func (i *instruments) old(client bool) metric.Int64Histogram {
	if client {
		return i.oldClient
	}
	return i.oldServer
}
