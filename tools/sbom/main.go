// SPDX-License-Identifier: Apache-2.0

// Command sbom says what the programs of a release are made of. Go programs carry the
// list of their modules; sbom reads it, the licences in the module cache, and prints an
// SPDX 2.3 document. The texts of the licences, which must go with programs, are written
// into the folder, as the file THIRD-PARTY-LICENSES.
//
//	sbom -c 'libc6-dev=2.31-13 libseccomp-dev=2.5.1-1' cudabuild-v0.2.0-linux-amd64 >cudabuild-v0.2.0-linux-amd64.spdx.json
//
// The same programs give the same bytes: the document's date is SOURCE_DATE_EPOCH.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	spdx "github.com/spdx/tools-golang/json"
)

func main() {
	libraries := flag.String("c", "", "Debian packages of the C libraries in static programs, NAME=VERSION with blanks between them")
	flag.Parse()
	if err := run(flag.Arg(0), *libraries); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func run(dir, libraries string) error {
	epoch, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	debian, err := packages(libraries)
	if err != nil {
		return err
	}
	programs, err := read(dir, debian)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "THIRD-PARTY-LICENSES"), notices(programs), 0o644); err != nil {
		return err
	}
	return spdx.Write(document(filepath.Base(dir), time.Unix(epoch, 0), programs), os.Stdout, spdx.Indent("  "))
}
