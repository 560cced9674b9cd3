// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/internal/plain"
)

// versionDocument is what version --json prints.
type versionDocument struct {
	Version   int    `json:"version"` // 1, of the document
	Cudabuild string `json:"cudabuild"`
	Go        string `json:"go"`
}

func newVersion() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version of cudabuild",
		Args:    cobra.NoArgs,
		Example: "  cudabuild version --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			version, goVersion := buildVersion()
			if asJSON {
				return plain.JSON(cmd.OutOrStdout(), versionDocument{1, version, goVersion})
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "cudabuild %s (%s)\n", version, goVersion)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	return cmd
}

// buildVersion reports the module version that the Go toolchain stamped into the
// binary ("(devel)" outside of a release) and the Go release that built it.
func buildVersion() (version, goVersion string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)", "(unknown)"
	}
	return info.Main.Version, info.GoVersion
}

// buildCommit is the commit that the binary was built from, "" if the toolchain did not
// stamp one into it or the tree had changes.
func buildCommit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	return commitOf(info.Settings)
}

func commitOf(settings []debug.BuildSetting) string {
	stamps := map[string]string{}
	for _, s := range settings {
		stamps[s.Key] = s.Value
	}
	if stamps["vcs"] != "git" || stamps["vcs.modified"] != "false" {
		return ""
	}
	return stamps["vcs.revision"]
}
