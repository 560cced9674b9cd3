// SPDX-License-Identifier: Apache-2.0

// Command pause holds the namespaces of a pod, in the image that containerd starts first in each.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	done := make(chan os.Signal, 1)
	signal.Notify(done, syscall.SIGTERM, syscall.SIGINT)
	<-done
}
