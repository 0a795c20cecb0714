//go:build go1.25

package ttrpc_test

import (
	"testing"

	"github.com/containerd/ttrpc/internal/testkit"
)

func TestMain(m *testing.M) {
	testkit.Main(m, "containerd/ttrpc.", "containerd/ttrpc/internal/", "containerd/ttrpc_test.")
}
