// Package stubs tests the generators: their output for every .proto file under protos, compared
// with the files under gen, which are compiled, vetted and called.
//
// After a change to a generator, go test ./interop/stubs -update writes the files under gen anew.
package stubs
