// SPDX-License-Identifier: Apache-2.0

package standin

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/retry"
)

// heartbeat is how often a node says that it is alive: the controller gives it up after 50 s.
const heartbeat = 10 * time.Second

// NewNodesCommand returns the stand-in nodes: COUNT of them in the cluster of KUBECONFIG, until it is ended. The first
// line of its output says that they are there.
func NewNodesCommand() *cobra.Command {
	var n nodes
	cmd := &cobra.Command{
		Use: "stand-in-nodes COUNT", Args: cobra.ExactArgs(1), SilenceUsage: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			count, err := strconv.Atoi(args[0])
			if err != nil {
				return err
			}
			config, err := clientcmd.BuildConfigFromFlags("", os.Getenv(clientcmd.RecommendedConfigPathEnvVar))
			if err != nil {
				return err
			}
			config.QPS, config.Burst = 500, 500
			if n.client, err = kubernetes.NewForConfig(config); err != nil {
				return err
			}
			return n.run(cmd.Context(), count)
		},
	}
	cmd.Flags().StringVar(&n.address, "address", "127.0.0.1", "answer requests for logs on this address")
	cmd.Flags().DurationVar(&n.runs, "runs", time.Second, "how long each pod is Running")
	return cmd
}

// nodes are all stand-in nodes.
type nodes struct {
	client  kubernetes.Interface
	address string
	runs    time.Duration
	pods    sync.Map // *running by types.UID
	byName  sync.Map // the same by "namespace/name"
	named   map[string]*core.Node
}

// running is a pod that was begun; its log is there when done is closed.
type running struct {
	done chan struct{}
	log  []byte
}

func (n *nodes) run(ctx context.Context, count int) error {
	port, err := n.serveLogs()
	if err != nil {
		return err
	}
	n.named = map[string]*core.Node{}
	for i := range count {
		node := node(i, n.address, port)
		n.named[node.Name] = node
		if err := n.register(ctx, node); err != nil {
			return err
		}
	}
	fmt.Printf("%d stand-in nodes\n", count)

	bound := informers.NewSharedInformerFactoryWithOptions(n.client, 0, informers.WithTweakListOptions(func(o *meta.ListOptions) { o.FieldSelector = "spec.nodeName!=" }))
	_, err = bound.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(pod any) { n.see(ctx, pod) },
		UpdateFunc: func(_, pod any) { n.see(ctx, pod) },
	})
	if err != nil {
		return err
	}
	bound.Start(ctx.Done())
	for tick := time.NewTicker(heartbeat); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for _, node := range n.named {
			_ = n.report(ctx, node)
		}
	}
}

// register makes the node, or takes the one that an earlier run has left.
func (n *nodes) register(ctx context.Context, node *core.Node) error {
	if _, err := n.client.CoreV1().Nodes().Create(ctx, node, meta.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	return n.report(ctx, node)
}

func (n *nodes) report(ctx context.Context, node *core.Node) error {
	status := node.Status.DeepCopy()
	status.Conditions = []core.NodeCondition{ready()}
	patch, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		return err
	}
	_, err = n.client.CoreV1().Nodes().Patch(ctx, node.Name, types.StrategicMergePatchType, patch, meta.PatchOptions{}, "status")
	return err
}

// see begins a pod that is new, and lets go of one that is to be deleted.
func (n *nodes) see(ctx context.Context, object any) {
	pod := object.(*core.Pod)
	node := n.named[pod.Spec.NodeName]
	if node == nil {
		return
	}
	if pod.DeletionTimestamp != nil {
		go func() { _ = n.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, *meta.NewDeleteOptions(0)) }()
		return
	}
	r := &running{done: make(chan struct{})}
	if _, begun := n.pods.LoadOrStore(pod.UID, r); begun {
		return
	}
	n.byName.Store(pod.Namespace+"/"+pod.Name, r)
	go n.pretend(ctx, pod, node, r)
}

// pretend takes the pod through its life.
func (n *nodes) pretend(ctx context.Context, pod *core.Pod, node *core.Node, r *running) {
	defer close(r.done)
	began := time.Now()
	set := func(phase core.PodPhase, state core.ContainerState) error {
		return retry.RetryOnConflict(retry.DefaultRetry, func() error {
			now, err := n.client.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, meta.GetOptions{})
			if err != nil {
				return err
			}
			container := now.Spec.Containers[0]
			now.Status.Phase, now.Status.StartTime = phase, &meta.Time{Time: began}
			now.Status.ContainerStatuses = []core.ContainerStatus{{Name: container.Name, Image: container.Image, State: state}}
			_, err = n.client.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, now, meta.UpdateOptions{})
			return err
		})
	}
	start := meta.NewTime(began)
	if set(core.PodRunning, core.ContainerState{Running: &core.ContainerStateRunning{StartedAt: start}}) != nil {
		return // it was deleted
	}
	time.Sleep(n.runs)
	line, message := play(pod, node, began)
	r.log = line
	_ = set(core.PodSucceeded, core.ContainerState{Terminated: &core.ContainerStateTerminated{
		Reason: "Completed", StartedAt: start, FinishedAt: meta.Now(), Message: message,
	}})
}

// serveLogs answers what the API server asks a node's kubelet for, logs alone, and says on which port.
func (n *nodes) serveLogs() (int32, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(n.address, "0"))
	if err != nil {
		return 0, err
	}
	certificate, key, err := cert.GenerateSelfSignedCertKey(n.address, nil, nil)
	if err != nil {
		return 0, err
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return 0, err
	}
	server := &http.Server{
		Handler: http.HandlerFunc(n.log), ReadHeaderTimeout: heartbeat,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
	}
	go func() { _ = server.ServeTLS(listener, "", "") }()
	return int32(listener.Addr().(*net.TCPAddr).Port), nil
}

// log answers GET /containerLogs/NAMESPACE/POD/CONTAINER; with follow it waits for the pod's end, as a kubelet does.
func (n *nodes) log(w http.ResponseWriter, request *http.Request) {
	path := strings.Split(strings.Trim(request.URL.Path, "/"), "/")
	if len(path) != 4 || path[0] != "containerLogs" {
		http.NotFound(w, request)
		return
	}
	found, ok := n.byName.Load(path[1] + "/" + path[2])
	if !ok {
		http.NotFound(w, request)
		return
	}
	r := found.(*running)
	if request.URL.Query().Get("follow") == "true" {
		w.(http.Flusher).Flush()
		select {
		case <-r.done:
		case <-request.Context().Done():
			return
		}
	}
	select {
	case <-r.done:
		_, _ = w.Write(r.log) //nolint:gosec // a log, as a kubelet writes it
	default:
	}
}
