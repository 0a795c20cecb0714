// Package google calls the services that were generated for google.golang.org/protobuf messages.
// Its files named *_both_test.go are copied to package gogo, where they call gogo's.
package google
