// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"bytes"
	"testing"

	"github.com/cudabuild/cudabuild/internal/golden"
	"github.com/cudabuild/cudabuild/internal/plain"
	"github.com/cudabuild/cudabuild/internal/reporttest"
)

func TestDocument(t *testing.T) {
	t.Parallel()
	var got bytes.Buffer
	if err := plain.JSON(&got, reporttest.Document()); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "testdata/example.json", got.String())
}
