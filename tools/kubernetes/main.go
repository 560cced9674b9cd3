// SPDX-License-Identifier: Apache-2.0

// Command kubernetes is a whole Kubernetes for tests in one program, which links
// what the five have in common once: its first argument says which part it is.
// A sixth stands in for nodes that this machine lacks.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	manager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"

	"github.com/cudabuild/cudabuild/tools/kubernetes/standin"
)

var parts = map[string]func() *cobra.Command{
	"apiserver":          apiserver.NewAPIServerCommand,
	"controller-manager": manager.NewControllerManagerCommand,
	"scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kubelet":            func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
	"stand-in-nodes":     standin.NewNodesCommand,
}

func main() {
	if len(os.Args) < 2 {
		os.Args = append(os.Args, "")
	}
	// Each part reads os.Args as if it were a program of its own.
	name := os.Args[1]
	os.Args = os.Args[1:]
	if name == "etcd" {
		etcdmain.Main(os.Args)
		return
	}
	part, ok := parts[name]
	if !ok {
		fmt.Fprintln(os.Stderr, "usage: kubernetes etcd|apiserver|controller-manager|scheduler|kubelet|stand-in-nodes ...")
		os.Exit(2)
	}
	os.Exit(cli.Run(part()))
}
