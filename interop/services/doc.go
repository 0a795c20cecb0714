// Package services has tests of the packages health and reflection against grpc-go's:
// with its generated messages, and beside its servers, asked the same.
package services
