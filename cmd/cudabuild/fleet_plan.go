// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/fleet"
	"github.com/cudabuild/cudabuild/fleet/k8s"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/gpu/predict"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/internal/plain"
	"github.com/cudabuild/cudabuild/usertest"
	"github.com/cudabuild/cudabuild/verify"
)

// clusterFlags say which cluster.
type clusterFlags struct {
	on string
	k8s.Options
}

func (f *clusterFlags) addCluster(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.on, "on", k8s.Engine, "what has the hosts: k8s, a Kubernetes cluster")
	flags.StringVar(&f.Kubeconfig, "kubeconfig", "", "`FILE` that says how to reach the cluster (default: KUBECONFIG, ~/.kube/config, or the pod that this runs in)")
	flags.StringVar(&f.Context, "context", "", "`NAME` of a context in it")
	flags.StringVarP(&f.Namespace, "namespace", "n", "", "`NAME` of the namespace for Jobs (default: the context's)")
}

func (f *clusterFlags) open() (*k8s.Client, error) {
	if f.on != k8s.Engine {
		return nil, &exitError{code: exitUsage, err: fmt.Errorf("--on %q: no such fleet", f.on), hint: "want k8s"}
	}
	client, err := k8s.Open(f.Options)
	return client, unknown(err)
}

// fleetFlags say which rows: those of fleet plan.
type fleetFlags struct {
	clusterFlags
	registryFlags
	k8s.Pods

	driver, gpus, tests, missing, platform string
	gpu                                    []string
	repeat                                 int
	asJSON                                 bool
	how                                    []any // rows are made
}

func (f *fleetFlags) add(cmd *cobra.Command) {
	f.addCluster(cmd)
	f.addRegistry(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.driver, "driver", "", "`WORDS` for the driver of nodes: '>=535', '>=550 <580', 535, 580.159.04")
	flags.StringSliceVar(&f.gpu, "gpu", nil, "`ARCH` of their GPUs, a row for each: sm_80,sm_90")
	flags.StringVar(&f.gpus, "gpus", "1", "how many GPUs a container gets; none for a node without")
	flags.StringVar(&f.tests, "tests", "", "`FILE` with tests of your own to run in place of samples, or a matrix.yaml with tests:")
	flags.StringVar(&f.missing, "missing", "", "in place of IMAGE: what the gates lack in the plan of a push, `FILE` of 'cudabuild push --dry-run --json'")
	flags.StringVar(&f.platform, "platform", "linux/amd64", "`OS/ARCH` of the nodes")
	flags.IntVar(&f.repeat, "repeat", 1, "rows of each kind")
	flags.StringVar(&f.Resource, "resource", "", "`NAME` of the resource that a GPU is in this cluster (default: what NVIDIA's DRA driver has published is claimed, else nvidia.com/gpu)")
	flags.StringSliceVar(&f.Tolerations, "toleration", nil, "`KEY` of a taint that nodes with GPUs have, beside nvidia.com/gpu (repeatable)")
	flags.BoolVar(&f.asJSON, "json", false, "print one JSON document")
	for _, other := range []string{"driver", "gpu", "gpus"} {
		apart(cmd, "missing", other)
	}
}

func newFleetPlan() *cobra.Command {
	var f fleetFlags
	cmd := &cobra.Command{
		Use:   "plan [IMAGE...]",
		Short: "Say which rows would be made, on which nodes, and what is predicted",
		Long: `Plan says which rows 'cudabuild fleet run' would make with the same words, and makes none.

Each IMAGE is a reference to a registry that the nodes can pull from. With --driver or --gpu rows are
made on nodes of that kind, whether there are any yet or not; without, there is a row for every driver and GPU
that nodes of the cluster have by the labels of GPU feature discovery, of those that would take one now. A row for which it is
predicted that the image does not run there is left out, and the reason is said; so is one for more GPUs than
any node of its kind has.

Exit code: 0 there is something to run, 3 there is not, or it could not be told.`,
		Example: `  cudabuild fleet plan registry.example.com/cuda:12.4-nbody-debian13
  cudabuild fleet plan --driver '>=535' --gpu sm_80,sm_90 registry.example.com/cuda:12.4-nbody-debian13
  cudabuild fleet plan --tests tests.yaml registry.example.com/team/train:latest`,
		RunE: func(cmd *cobra.Command, args []string) error {
			plan, done, err := f.plan(cmd, args)
			if err != nil {
				return err
			}
			defer done()
			return f.print(cmd.OutOrStdout(), plan)
		},
	}
	f.add(cmd)
	return cmd
}

// plan reads the images and says what is to be run where.
func (f *fleetFlags) plan(cmd *cobra.Command, refs []string) (plan fleet.Plan, done func(), err error) {
	what, err := f.wanted(cmd, refs)
	if err != nil {
		return plan, nil, err
	}
	images, done, err := openAll(cmd.Context(), what.refs, image.OpenOptions{Platform: f.platform, Registry: f.registry()})
	if err != nil {
		return plan, nil, err
	}
	if plan, err = f.planOf(cmd.Context(), what, images); err != nil {
		done()
	}
	return plan, done, unknown(err)
}

func (f *fleetFlags) planOf(ctx context.Context, what wanted, images []subject) (plan fleet.Plan, err error) {
	chosen, left, problems := what.choose(images)
	if err := errors.Join(problems...); err != nil {
		return plan, err
	}
	subjects, err := f.subjects(ctx, chosen)
	if err != nil {
		return plan, err
	}
	var asks []fleet.Ask
	for i, s := range subjects {
		for _, a := range what.on(chosen[i]) {
			a.Subject, a.On = s, of(s, a.On)
			if !slices.ContainsFunc(asks, func(other fleet.Ask) bool { return other.Subject == s && other.On == a.On }) {
				asks = append(asks, a)
			}
		}
	}
	if plan, err = fleet.New(ctx, asks, f.repeat, f.how...); err != nil {
		return plan, err
	}
	plan.Nodes = what.left
	for _, l := range left {
		plan.Left = append(plan.Left, fleet.Left{Test: l.Test, Image: l.Image, Why: l.Why})
	}
	return plan, nil
}

// of is what a test asks of a node: one of one's own may say how many GPUs it takes.
func of(s *fleet.Subject, on gpu.Asked) gpu.Asked {
	switch n := s.Test.GPUs; {
	case n == 0 || on.GPUs == 0:
		return gpu.Asked{}
	case n != usertest.All:
		on.GPUs = n
	}
	return on
}

// classes are the kinds of nodes that are asked for, whatever is to be run.
func (f *fleetFlags) classes(ctx context.Context) (classes []fleet.Ask, left []fleet.LeftNode, err error) {
	for _, name := range f.gpu {
		if _, err := compat.ParseTarget(name); err != nil {
			return nil, nil, fmt.Errorf("--gpu: %w", err)
		}
	}
	if words := usertest.Forms()["driver"].Pattern; f.driver != "" && (!words.MatchString(f.driver) || !compat.AnyDriverIs(f.driver)) {
		return nil, nil, &exitError{code: exitUsage, err: fmt.Errorf("--driver %q: no driver is that", f.driver), hint: "want words such as '>=535', '>=550 <580', 535 or 580.159.04"}
	}
	if f.gpus == "none" {
		return []fleet.Ask{{}}, nil, nil
	}
	n, err := strconv.Atoi(f.gpus)
	if err != nil || n < 1 {
		return nil, nil, fmt.Errorf("--gpus %q: want a number, or none", f.gpus)
	}
	if f.driver == "" && len(f.gpu) == 0 {
		return f.ofCluster(ctx, n)
	}
	for _, name := range f.gpu {
		classes = append(classes, fleet.Ask{On: gpu.Asked{Driver: f.driver, GPU: name, GPUs: n}})
	}
	if classes == nil {
		classes = []fleet.Ask{{On: gpu.Asked{Driver: f.driver, GPUs: n}}}
	}
	return classes, nil, nil
}

// cluster finds out how GPUs are had there.
func (f *fleetFlags) cluster(ctx context.Context) (*k8s.Client, error) {
	if err := f.Check(); err != nil {
		return nil, unknown(err)
	}
	client, err := f.open()
	if err == nil && f.Resource == "" {
		f.Resource = "nvidia.com/gpu"
		f.Claims, err = client.Claims(ctx)
	}
	return client, unknown(err)
}

// ofCluster are the kinds of nodes that a cluster has, asked for n GPUs each, and the nodes that would take none.
func (f *fleetFlags) ofCluster(ctx context.Context, n int) ([]fleet.Ask, []fleet.LeftNode, error) {
	client, err := f.cluster(ctx)
	if err != nil {
		return nil, nil, err
	}
	fit, left, err := client.Fit(ctx, f.platform, f.Pods)
	if err != nil {
		return nil, nil, unknown(err)
	}
	classes := fleet.Classes(fit)
	if len(classes) == 0 {
		why := "no node of the cluster has the labels of GPU feature discovery"
		if lines := leftNodes(left); lines != nil {
			why = "no node of the cluster with GPUs would take a row now: " + strings.Join(lines, "; ")
		}
		return nil, nil, unknown(hint.New(why, "name nodes that will come with --driver and --gpu, or run without GPUs with --gpus none"))
	}
	for i := range classes {
		classes[i].On.GPUs = n
	}
	return classes, left, nil
}

// subjects asks the verifier about the images, which must be in a registry.
func (f *fleetFlags) subjects(ctx context.Context, chosen []subject) (all []*fleet.Subject, err error) {
	verifier := verify.New(verify.Options{CacheDir: userCache(), TempDir: heldIn()})
	boundMemory(verifier.Memory())
	for _, c := range chosen {
		ref, err := name.ParseReference(c.source.Ref, name.WeakValidation)
		if err != nil || image.OnDisk(c.given) {
			return nil, &exitError{code: exitUsage, err: fmt.Errorf("%s: nodes pull images from a registry", c.given), hint: "'cudabuild push' brings it into one"}
		}
		s := &fleet.Subject{Pull: pull(ref, c.source.Digest.String()), Own: c.own}
		if s.Subject, err = predict.New(c.source, c.test); err != nil {
			return nil, err
		}
		if s.Report, err = s.Subject.Report(ctx, verifier, f.gpus == "none" || c.test.GPUs == 0); err != nil {
			return nil, err
		}
		s.Platform = cmp.Or(s.Report.Platform, f.platform)
		all = append(all, s)
	}
	return all, nil
}

// pull is an image by its digest, as nodes know the registry.
func pull(ref name.Reference, digest string) string {
	repo := strings.Replace(ref.Context().Name(), "index.docker.io/", "docker.io/", 1)
	return repo + "@" + digest
}

// fleetPlan is what fleet plan --json prints.
type fleetPlan struct {
	Version int          `json:"version"` // 1
	Rows    []fleetTask  `json:"rows"`
	Left    []fleet.Left `json:"left_out"`
	// Nodes with GPUs that take no row as the cluster is now.
	Nodes []fleet.LeftNode `json:"left_nodes"`
}

type fleetTask struct {
	Image      string          `json:"image"` // by digest
	Cell       string          `json:"cell"`
	Test       string          `json:"test"`
	Asked      gpu.Asked       `json:"asked"`
	Where      []compat.Region `json:"where"` // drivers and GPUs; empty without GPUs
	Prediction gpu.Prediction  `json:"prediction"`
}

func (f *fleetFlags) print(w io.Writer, plan fleet.Plan) error {
	if f.asJSON {
		doc := fleetPlan{1, []fleetTask{}, plan.Left, append([]fleet.LeftNode{}, plan.Nodes...)}
		for _, t := range plan.Tasks {
			s := t.Subject
			doc.Rows = append(doc.Rows, fleetTask{s.Pull, s.Cell, s.Test.Name, t.On, append([]compat.Region{}, t.Where...), t.Prediction})
		}
		return cmp.Or(plain.JSON(w, doc), nothing(plan))
	}
	w = plain.To(w)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "IMAGE\tTEST\tDRIVER\tGPU\tGPUS\tPREDICTED\tBECAUSE")
	for _, t := range plan.Tasks {
		s := t.Subject
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", oneLine(cmp.Or(s.Cell, shortDigest(s.Digest))), s.Test.Name,
			orDash(t.On.Driver), orDash(t.On.GPU), t.On.GPUs, t.Prediction.Verdict, ends(t.Prediction.Why))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	printLeft(w, plan)
	fmt.Fprintf(w, "%d rows, %d left out\n", len(plan.Tasks), len(plan.Left))
	return nothing(plan)
}

// nothing is the error of a plan without rows.
func nothing(plan fleet.Plan) error {
	if len(plan.Tasks) > 0 {
		return nil
	}
	return &exitError{code: exitUnknown, err: errors.New("there is nothing to run")}
}
