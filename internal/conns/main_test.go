//go:build go1.25

package conns

import (
	"testing"

	"github.com/containerd/ttrpc/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m, "internal/conns.") }
