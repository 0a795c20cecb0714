// Package health is the health service of gRPC, grpc.health.v1, for ttrpc: a [Server] that tells
// how the services of a program do, and the calls of its clients. It works like grpc-go's package
// of that name, and each works with the other's clients.
//
// The messages are encoded by hand and are registered nowhere, so a program may link
// google.golang.org/grpc/health/grpc_health_v1 as well.
package health
