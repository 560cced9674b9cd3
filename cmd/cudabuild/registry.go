// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"sync"

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/internal/plain"
	"github.com/cudabuild/cudabuild/registry"
)

// registryFlags are the flags of commands that speak to registries.
type registryFlags struct {
	cmd   *cobra.Command
	realm string
}

func (f *registryFlags) addRegistry(cmd *cobra.Command) {
	f.cmd = cmd
	cmd.Flags().Func("auth-realm", "`HOST[:PORT]` of the one token server that may be asked (default: the one that the registry announces itself over https)", func(host string) error {
		f.realm = host
		if host == "" {
			return errors.New("it is empty")
		}
		return registry.CheckRealm(host)
	})
}

// registry tunes the client of registries, which says on stderr what it waits for.
func (f *registryFlags) registry() registry.Options {
	var one sync.Mutex // images of several registries are read at the same time
	return registry.Options{Realm: f.realm, Say: func(line string) {
		one.Lock()
		defer one.Unlock()
		fmt.Fprintf(plain.To(f.cmd.ErrOrStderr()), "cudabuild: %s\n", line)
	}}
}
