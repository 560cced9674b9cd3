// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"os"
	"testing"

	"github.com/containerd/log"
)

func TestMain(m *testing.M) {
	_ = log.SetLevel("error") // as the command line does
	os.Exit(m.Run())
}
