// Package ttrpc is a small RPC library for processes on one machine: gRPC service
// definitions without HTTP/2, TLS or the grpc transport.
package ttrpc
