// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"io"
)

// printJSON prints a document as --json and run.json have it: for people too, so it is
// indented, and no character is escaped that JSON does not want escaped.
func printJSON(w io.Writer, document any) error {
	enc := json.NewEncoder(plain{w})
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(document)
}
