// Package ttrpctest helps to test programs that use ttrpc: a server that ends with its test,
// connections in memory that misbehave on command, and a check for goroutines that were left
// behind.
//
//	func TestGreet(t *testing.T) {
//		server := ttrpctest.NewServer(t, func(s *ttrpc.Server) {
//			hello.RegisterGreeterService(s, greeter{})
//		})
//		client := hello.NewGreeterClient(server.Client())
//		reply, err := client.Greet(t.Context(), &hello.GreetRequest{Name: "world"})
//		// ...
//	}
//
// The connections are made of nothing but memory, locks and timers. So all of it works in the
// bubbles of testing/synctest, where time is simulated and a test waits for nothing: what a test
// uses there it has to make there. For code under test that takes an address and dials by itself,
// [Server.ListenUnix] serves on a real socket, which does not work in a bubble.
//
// [Conn] says which faults there are:
//
//	conn := server.Dial()
//	client := ttrpc.NewClient(conn)
//	conn.Peer().CutAfter(100) // the server's next answers break off after a hundred bytes
//
// The package does not import package testing.
package ttrpctest
