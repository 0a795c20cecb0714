//go:build !dial

package main

import "github.com/containerd/ttrpc"

func dial() *ttrpc.Client { return nil }
