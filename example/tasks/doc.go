// Package tasks is the example's service with stubs of google.golang.org/protobuf.
package tasks
