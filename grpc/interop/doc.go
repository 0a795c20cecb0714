// Package interop tests ttrpc with the interoperability service of grpc-go and its client, which is
// a module of its own for what these require.
package interop
