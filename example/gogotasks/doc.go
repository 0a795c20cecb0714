// Package gogotasks is the example's service with stubs of gogo/protobuf.
package gogotasks
