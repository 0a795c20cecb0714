package main

import "github.com/containerd/ttrpc"

// register is for the releases before streams.
func register(s *ttrpc.Server, name string, h *handlers) {
	s.Register(name, h.unaryMethods())
}
