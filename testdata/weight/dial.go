//go:build dial

package main

import (
	"context"

	"github.com/containerd/ttrpc"
)

func dial() *ttrpc.Client {
	c, err := ttrpc.Dial(context.Background(), "unix:x")
	if err != nil {
		panic(err)
	}
	return c
}
