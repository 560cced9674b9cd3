// SPDX-License-Identifier: Apache-2.0

package standin

import (
	"fmt"
	"strings"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	resourceGPU = "nvidia.com/gpu"
	// prefix begins the name of every stand-in node, and is its label too.
	prefix = "stand-in"
	// gpusPerNode is how many GPUs a stand-in node says that it has.
	gpusPerNode = 2
)

// gpu is what the labels of GPU feature discovery tell of a model.
type gpu struct{ product, family, major, minor, memory string }

// Twelve nodes are all pairs of a driver and a GPU, thirteen begin again.
var (
	drivers = []string{"470.256.02", "535.288.01", "550.163.01", "580.159.04"}
	gpus    = []gpu{
		{"Tesla-V100-SXM2-16GB", "volta", "7", "0", "16384"},
		{"NVIDIA-A100-SXM4-80GB", "ampere", "8", "0", "81920"},
		{"NVIDIA-H100-80GB-HBM3", "hopper", "9", "0", "81559"},
	}
)

// node is the i-th stand-in node. Requests for its logs go to address:port.
func node(i int, address string, port int32) *core.Node {
	room := core.ResourceList{
		"cpu": resource.MustParse("8"), "memory": resource.MustParse("32Gi"), "pods": resource.MustParse("110"),
		resourceGPU: *resource.NewQuantity(gpusPerNode, resource.DecimalSI),
	}
	return &core.Node{
		ObjectMeta: meta.ObjectMeta{Name: fmt.Sprintf("%s-%03d", prefix, i), Labels: labels(drivers[i%len(drivers)], gpus[i%len(gpus)])},
		Status: core.NodeStatus{
			Capacity: room, Allocatable: room,
			Conditions:      []core.NodeCondition{ready()},
			Addresses:       []core.NodeAddress{{Type: core.NodeInternalIP, Address: address}},
			DaemonEndpoints: core.NodeDaemonEndpoints{KubeletEndpoint: core.DaemonEndpoint{Port: port}},
			NodeInfo:        core.NodeSystemInfo{OperatingSystem: "linux", Architecture: "amd64"},
		},
	}
}

func ready() core.NodeCondition {
	return core.NodeCondition{Type: core.NodeReady, Status: core.ConditionTrue, Reason: "StandIn", LastHeartbeatTime: meta.Now(), LastTransitionTime: meta.Now()}
}

// labels are those of GPU feature discovery, under their new and their old names.
func labels(driver string, g gpu) map[string]string {
	d := strings.SplitN(driver+"..", ".", 4)
	all := map[string]string{
		"gpu.present": "true", "gpu.count": fmt.Sprint(gpusPerNode), "gpu.replicas": "1", "gpu.mode": "compute",
		"gpu.product": g.product, "gpu.family": g.family, "gpu.memory": g.memory, "gpu.compute.major": g.major, "gpu.compute.minor": g.minor,
		"cuda.driver-version.full": driver, "cuda.driver-version.major": d[0], "cuda.driver-version.minor": d[1], "cuda.driver-version.revision": d[2],
		"cuda.driver.major": d[0], "cuda.driver.minor": d[1], "cuda.driver.rev": d[2],
		"mig.capable": "false", "mps.capable": "false",
	}
	named := map[string]string{prefix: "true", "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux"}
	for name, value := range all {
		named["nvidia.com/"+name] = value
	}
	return named
}
