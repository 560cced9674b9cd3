// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/base"
	"github.com/cudabuild/cudabuild/internal/files"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/internal/plain"
	"github.com/cudabuild/cudabuild/internal/proxy"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/update"
)

func newRecipes() *cobra.Command {
	cmd := &cobra.Command{Use: "recipes", Short: "Keep recipes up to date", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(newRecipesUpdate())
	return cmd
}

// updateFlags are the flags of `cudabuild recipes update`.
type updateFlags struct {
	recipes, os   []string
	from, mirror  string
	check, asJSON bool
}

func newRecipesUpdate() *cobra.Command {
	var f updateFlags
	cmd := &cobra.Command{
		Use:   "update",
		Short: "Write what the vendors' repositories have and recipes lack",
		Long: `Update reads the repositories that the recipes name, by the keys that they pin, and writes
into the last --recipes DIR: a toolkit for each CUDA release that none has, and versions of
packages that no document gives. It says what is pinned and gone. It writes all or nothing.

With --check it writes nothing, looks at the distributions' own repositories too, and ends with 1
if anything is new or gone. Exit codes: 2 if what is asked for makes no sense, 3 if a repository cannot
be read; a wrong key or signature is 1, too.`,
		Args: cobra.NoArgs,
		Example: `  cudabuild recipes update --check
  cudabuild recipes update --recipes ours
  cudabuild recipes update --recipes ours --from https://mirror.example/cuda/repos --os 'ubuntu*'
  cudabuild recipes update --check --os 'debian*'`,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.recipes, "recipes", nil, "`DIR` with recipes that are laid over the embedded ones, key by key (repeatable); the last is written to")
	flags.StringArrayVar(&f.os, "os", nil, "the OSes whose name matches `GLOB`, such as 'ubuntu*' (repeatable); without it all that are maintained")
	flags.StringVar(&f.from, "from", "", "`URL|DIR` where the vendor's repositories lie, in place of their own root: ubuntu2404/x86_64 and so on below it")
	flags.StringVar(&f.mirror, "debian-mirror", os.Getenv(mirrorVariable), "`ADDRESS` of a Debian mirror (env CUDABUILD_DEBIAN_MIRROR)")
	flags.Lookup("debian-mirror").DefValue = "" // --help is no place for a login
	flags.BoolVar(&f.check, "check", false, "write nothing; exit code 1 if anything is new or gone")
	flags.BoolVar(&f.asJSON, "json", false, "print one JSON document")
	return cmd
}

func (f *updateFlags) run(cmd *cobra.Command) error {
	if !f.check && len(f.recipes) == 0 {
		return unknown(hint.Usage("no --recipes DIR to write to", "name a folder, which may be new, or look only, with --check"))
	}
	if err := base.CheckMirror(f.mirror); err != nil {
		return fmt.Errorf("--debian-mirror, %s: %w", mirrorVariable, err)
	}
	if err := checkFrom(f.from); err != nil {
		return unknown(err)
	}
	dirs := f.recipes
	if !f.check { // what is written to may be new
		dirs = update.Existing(dirs)
	}
	catalog, err := recipes.Load(dirs...)
	if err != nil {
		return tell(cmd, err, false)
	}
	done, err := f.update(cmd.Context(), catalog)
	if err = tell(cmd, err, false); err != nil {
		return unknown(err)
	}
	if f.asJSON {
		err = plain.JSON(cmd.OutOrStdout(), done)
	} else {
		_, err = plain.To(cmd.OutOrStdout()).Write(done.page())
	}
	if err == nil && f.check && done.news() {
		return &exitError{code: exitFailed}
	}
	return err
}

// checkFrom returns an error if repositories cannot lie there.
func checkFrom(from string) error {
	scheme, _, address := strings.Cut(from, "://")
	if info, err := os.Stat(from); from == "" || address && (scheme == "http" || scheme == "https") || !address && err == nil && info.IsDir() {
		return nil
	}
	return hint.Usage(fmt.Sprintf("--from %q: no folder, and no address that begins with http:// or https://", from), "it has the repositories below it: ubuntu2404/x86_64 and so on")
}

// systems are the OSes that are asked for, or all that are maintained: a vendor takes the
// repositories of others away.
func (f *updateFlags) systems(c *recipes.Catalog, day time.Time) ([]string, error) {
	names := c.OSNames()
	if len(f.os) == 0 {
		return slices.DeleteFunc(names, func(name string) bool { o, _ := c.OS(name); return o.End().Past(day) }), nil
	}
	var chosen []string
	for _, glob := range f.os {
		if _, err := path.Match(glob, ""); err != nil {
			return nil, hint.Usage(fmt.Sprintf("--os %q: %v", glob, err), "")
		}
		matching := slices.DeleteFunc(slices.Clone(names), func(name string) bool { ok, _ := path.Match(glob, name); return !ok })
		if len(matching) == 0 {
			return nil, hint.Usage(fmt.Sprintf("--os %q: no os has such a name", glob), "repeat --os for more than one; the names are "+strings.Join(names, ", "))
		}
		chosen = append(chosen, matching...)
	}
	slices.Sort(chosen)
	return slices.Compact(chosen), nil
}

func (f *updateFlags) update(ctx context.Context, c *recipes.Catalog) (*updateDocument, error) {
	now := today(ctx)
	systems, err := f.systems(c, now)
	if err != nil {
		return nil, err
	}
	p, err := proxy.FromEnvironment(os.Getenv)
	if err == nil {
		err = useProxy(p)
	}
	if err != nil {
		return nil, err
	}
	done := &updateDocument{Version: 1, Check: f.check, Distributions: []update.Distribution{}, Written: []string{}}
	available, err := update.Read(ctx, c, systems, f.from, now, fetchFile)
	if errors.Is(err, base.ErrUnreachable) && hint.Code(err, exitUnknown) == exitUnknown { // what others say is about Debian's
		err = hint.New(err.Error(), "is the network up? --from names a mirror of the vendor's repositories, http_proxy a proxy")
	}
	if f.check && f.from == "" {
		for _, name := range systems {
			if o, _ := c.OS(name); o.Bootstrap.Suite != "" && len(c.CUDAFor(name)) > 0 {
				d, wrong := f.distribution(ctx, c, o, now)
				done.Distributions, err = append(done.Distributions, d), errors.Join(err, wrong)
			}
		}
	}
	if err == nil && len(available.Repositories)+len(done.Distributions) == 0 {
		err = hint.Usage("none of these OSes has a repository that is read", "Debian's own are looked at with --check and without --from")
	}
	if err != nil {
		return nil, err
	}
	done.Repositories = append([]update.Repository{}, available.Repositories...)
	found := update.Compare(c, available)
	done.Found = *found
	if !f.check {
		done.Written, err = found.Write(f.recipes)
		done.dir = f.recipes[len(f.recipes)-1]
	}
	return done, err
}

// fetchFile gets a file from a server, or off this machine.
func fetchFile(ctx context.Context, address string) ([]byte, error) {
	if strings.HasPrefix(address, "https://") || strings.HasPrefix(address, "http://") {
		return base.Fetch(ctx, address)
	}
	return files.Read(address)
}

// keyrings are where Debian's keys are, which mmdebstrap trusts.
var keyrings = []string{"/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp"}

// distribution looks at a distribution's own repositories, as a root is made of them.
func (f *updateFlags) distribution(ctx context.Context, c *recipes.Catalog, o recipes.OS, now time.Time) (d update.Distribution, err error) {
	dir, err := os.MkdirTemp("", "cudabuild-update-")
	if err != nil {
		return d, err
	}
	defer os.RemoveAll(dir)
	store, err := base.Open(dir)
	if err != nil {
		return d, err
	}
	store.Mirror, store.Logins, store.Settings, store.Log = f.mirror, base.ReadLogins("/etc/apt"), hostAptConfig(ctx), slog.Default()
	keys, err := files.Read(keyrings[0])
	if errors.Is(err, fs.ErrNotExist) {
		keys, err = files.Read(keyrings[1])
	}
	if err != nil {
		return d, fmt.Errorf("%s: Debian's keys: %w", o.Name, err)
	}
	repositories, err := update.Archive{Suites: store.Suites, Keyring: keys, Now: now}.Repositories(ctx, c, o.Name)
	if errors.Is(err, base.ErrUnavailable) { // no BuildKit can look in its place
		err = hint.New(err.Error(), "run as root after 'make deps', or name other OSes with --os")
	}
	if err != nil {
		return d, err
	}
	return update.ReadDistribution(ctx, c, o.Name, repositories, store.Fetch)
}
