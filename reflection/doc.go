// Package reflection tells clients what a server speaks: the services that it has, and the
// descriptors of their messages. It is gRPC's service for that, in both of its versions,
// grpc.reflection.v1 and grpc.reflection.v1alpha, and answers as grpc-go's package of that name
// does.
//
// The descriptors are those that the program has registered with google.golang.org/protobuf, as its
// generated code does. A program with gogo's messages adds them by [WithGzipped].
//
// Whoever can connect sees all services. The package's own messages are encoded by hand and are
// registered nowhere, so a program may link grpc-go's as well.
package reflection
