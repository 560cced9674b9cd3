// SPDX-License-Identifier: Apache-2.0

package repo_test

import (
	"testing"

	"github.com/cudabuild/cudabuild/internal/standin/repo"
)

func TestX(t *testing.T) {
	k := repo.NewKey(t, false)
	pk := []repo.Package{{Name: "cuda-cudart-9-0", Version: "9.0.176-1"}, {Name: "cuda-cudart-9-0", Version: "9.0.999-1"}, {Name: "libnccl2", Version: "2.3.7-1+cuda9.0", Depends: []string{"cuda-cudart-9-0"}, Scripts: map[string]string{"/usr/local/cuda-9.0/bin/nvcc": "#!/bin/sh\necho stand-in\n"}}}
	repo.Apt(t, k, "/tmp/w/e2-root/apt", pk)
	repo.RPM(t, k, "/tmp/w/e2-root/rpm", pk)
	e := repo.NewKey(t, true)
	repo.Apt(t, e, "/tmp/w/e2-root/apt-exp", pk)
}
