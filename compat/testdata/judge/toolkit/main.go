// SPDX-License-Identifier: Apache-2.0

// Command judge says for each environment on stdin, a JSON list a line, what NVIDIA's
// toolkit reads from it. It is compiled inside a copy of the toolkit's module.
package main

import (
	"encoding/json"
	"log"
	"os"

	"github.com/NVIDIA/nvidia-container-toolkit/internal/config/image"
)

type answer struct {
	Env          []string `json:"env"`
	Devices      []string `json:"devices"`
	Legacy       bool     `json:"legacy"`
	Requirements []string `json:"requirements"`
	Refused      bool     `json:"refused"`
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
		if err := out.Encode(a); err != nil {
			log.Fatal(err)
		}
	}
}
