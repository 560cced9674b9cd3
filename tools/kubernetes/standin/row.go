// SPDX-License-Identifier: Apache-2.0

package standin

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	core "k8s.io/api/core/v1"
)

// A played row is what the observer of fleet/observe would have printed, had the command run on the node and succeeded:
// the line of the log, and the termination message, which has its length and checksum. The names are those of
// observe.Seen, which cannot be imported: this module's Kubernetes is not the one that the main module is made with.
func play(pod *core.Pod, node *core.Node, began time.Time) (line []byte, message string) {
	args := slices.Concat(pod.Spec.Containers[0].Command, pod.Spec.Containers[0].Args)
	if i := slices.Index(args, "--"); i >= 0 {
		args = args[i+1:]
	}
	seen := map[string]any{
		"version": 1, "stand_in": true, "args": slices.Concat([]string{}, args), "started": began.UTC(), "seconds": time.Since(began).Seconds(),
		"exit_code": 0, "timed_out": false, "problem": "",
		"stdout": output("Result = PASS\n"), "stderr": output(""),
		"loaded_libcuda": "/usr/lib/x86_64-linux-gnu/libcuda.so." + node.Labels["nvidia.com/cuda.driver-version.full"], "ptx_jit": false,
		"driver": node.Labels["nvidia.com/cuda.driver-version.full"],
	}
	wanted := pod.Spec.Containers[0].Resources.Limits[resourceGPU]
	devices, visible := []string{}, []map[string]any{}
	for i := range int(wanted.Value()) + len(pod.Spec.ResourceClaims) {
		devices = append(devices, fmt.Sprintf("/dev/nvidia%d", i))
		visible = append(visible, map[string]any{
			"uuid": fmt.Sprintf("GPU-00000000-0000-0000-0000-%012d", i), "name": node.Labels["nvidia.com/gpu.product"],
			"bus_id": fmt.Sprintf("0000:%02x:00.0", i+1), "minor": i,
		})
	}
	seen["device_nodes"], seen["gpus"] = devices, visible

	line, err := json.Marshal(seen)
	if err != nil {
		panic(err) // strings and numbers
	}
	return append(slices.Clone(line), '\n'), fmt.Sprintf(`{"bytes":%d,"sha256":"%x"}`, len(line), sha256.Sum256(line))
}

func output(text string) map[string]any {
	return map[string]any{"bytes": len(text), "head": []byte(text), "tail": []byte{}}
}
