// SPDX-License-Identifier: Apache-2.0

// The judge says for each environment on stdin, a JSON list a line, what NVIDIA's
// toolkit reads from it. It is compiled inside a copy of the toolkit's module, with the
// file of its legacy hook that reads an image's environment.
package main

import (
	"encoding/json"
	"log"
	"os"
	"sync"

	"github.com/NVIDIA/nvidia-container-toolkit/api/config/v1"
	"github.com/NVIDIA/nvidia-container-toolkit/internal/config/image"
)

// hookConfig is what the hook's file wants; the hook's own type needs cgo.
type hookConfig struct {
	sync.Mutex
	*config.Config
	containerConfig *containerConfig
}

func (*hookConfig) getSwarmResource() string { return "" }

type answer struct {
	Env          []string `json:"env"`
	Devices      []string `json:"devices"`
	Legacy       bool     `json:"legacy"`
	Requirements []string `json:"requirements"`
	Refused      bool     `json:"refused"`
	Capabilities string   `json:"capabilities"` // "refused" where the hook panics
}

func main() {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for in.More() {
		var a answer
		if err := in.Decode(&a.Env); err != nil {
			log.Fatal(err)
		}
		i, err := image.New(image.WithEnv(a.Env))
		if err != nil {
			log.Fatal(err)
		}
		a.Devices, a.Legacy = i.VisibleDevices(), i.IsLegacy()
		a.Requirements, err = i.GetRequirements()
		a.Refused = err != nil
		a.Capabilities = capabilities(i)
		if err := out.Encode(a); err != nil {
			log.Fatal(err)
		}
	}
}

// capabilities asks the hook with its default configuration.
func capabilities(i image.CUDA) (words string) {
	defer func() {
		if recover() != nil {
			words = "refused"
		}
	}()
	settings, err := config.GetDefault()
	if err != nil {
		log.Fatal(err)
	}
	hook := &hookConfig{Config: settings}
	return hook.getDriverCapabilities(i, i.IsLegacy()).String()
}
