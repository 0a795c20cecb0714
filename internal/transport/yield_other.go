//go:build !linux

package transport

func osYield() {}
