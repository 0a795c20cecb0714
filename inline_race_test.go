//go:build go1.25 && race

package ttrpc_test

const raceEnabled = true
