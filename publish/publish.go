// SPDX-License-Identifier: Apache-2.0

// Package publish brings images that passed from a layout on disk into a registry.
//
// [New] reads what is to be published and what the registry has, and makes the [Plan];
// [Publisher.Run] does what a plan says, in phases:
//
//	preflight  may we push there? Nothing is left behind
//	upload     blobs, then manifests, under a tag staging-RUN-CELL for each cell
//	read back  does the registry have every byte that a staging tag names?
//	gate       does all hold that matrix.yaml asks for?
//	attach     evidence, to the image of each platform and to the index
//	promote    tags move, those of cells first, then the other names
//
// It promises that no tag but staging ones ever names an image that was not read back and
// judged, and has its evidence where the registry takes any, whenever it is killed; that a tag that somebody else moves meanwhile is reported and
// left alone; and that what is done stands in a journal before the next thing begins, so that
// [Publisher.Run] goes on where a killed run stopped, and [Publisher.Undo] puts tags back.
// It never recompresses: what was judged is what is pushed, to the byte.
package publish

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cudabuild/cudabuild/attest"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/registry"
	"github.com/cudabuild/cudabuild/sign"
	"github.com/cudabuild/cudabuild/verify"
)

// Options are what is to be published, where and how.
type Options struct {
	To     string        // repository, "ghcr.io/acme/cuda"
	Cells  []matrix.Cell // in the order of a plan, parents before children
	Record *record.Run   // what was built and judged
	// Rows are of GPU hosts, beside those in Record.
	Rows  []gpu.Observation
	Rules matrix.Publish
	// Images are where the images lie; nil if they are staged already, by other runs.
	Images *image.Layout
	// ID names this run in staging tags and in the journal, see [NewRunID].
	ID       string
	Journals string // folder of the journals, made if it is missing
	Registry registry.Options

	FullReadBack   bool // hash every layer that the registry has, in place of asking for its size
	Older          bool // move tags from images that are newer
	FewerPlatforms bool // move tags from images of more platforms
	StageOnly      bool // end without moving a tag
	PlanOnly       bool // [Publisher.Plan] alone is called: no image gets a staging tag, and nothing goes on
	NoEvidence     bool // attach nothing to the images
	// Key signs the evidence; nil leaves it as it is.
	Key *sign.Key
	// Inventory reads the packages of an image on disk, for its SBOM; nil makes none.
	Inventory func(ctx context.Context, ref string, img v1.Image) (verify.Inventory, error)
	Program   string // the version that evidence names
	Show      Show   // nil shows nothing
	// Command is the command line of another push, for messages: do is what it is to do with a run, "--resume",
	// "--undo", "--abandon", "--stage" or "--promote", and "" publishes the same images in a run of its own. nil is one
	// without any flags.
	Command func(do, run string) string
}

// Publisher publishes the images of one run.
type Publisher struct {
	Options

	repo    name.Repository
	client  *registry.Client
	puller  *remote.Puller
	pusher  *remote.Pusher
	attests *attest.Repository
	journal *journal // nil until something is done

	began *Plan // of the run that p goes on with, nil if it begins
	moved bool  // that run had begun to move tags

	built map[string]record.Cell // by ID
	rows  []gpu.Observation      // of ledgers and of the record

	alone bool // the registry has removed a tag, and its image kept its others

	pieces map[string][]attest.Piece // by the ID of a cell: its evidence, in the order of the plan

	mu     sync.Mutex
	images map[string]*manifest                 // by digest, of the cells
	known  map[string]func() (*manifest, error) // by digest, of what tags name now
}

// New returns a publisher. It asks nothing of the registry. The error is one of usage for
// names that cannot be.
func New(ctx context.Context, o Options) (*Publisher, error) {
	if err := CheckRunID(o.ID); err != nil {
		return nil, err
	}
	repo, err := ParseRepository(o.To)
	if err != nil {
		return nil, err
	}
	if o.Show == nil {
		o.Show = func(Phase, bool) {}
	}
	client, err := registry.New(ctx, repo, o.Registry)
	if err != nil {
		return nil, err
	}
	puller, pusher, err := client.Remotes()
	if err != nil {
		return nil, err
	}
	attests, err := attest.Open(repo, client, o.Key)
	if err != nil {
		return nil, err
	}
	p := &Publisher{Options: o, attests: attests, repo: repo, client: client, puller: puller, pusher: pusher, built: map[string]record.Cell{}, images: map[string]*manifest{}, known: map[string]func() (*manifest, error){}}
	p.rows = slices.Clone(o.Rows)
	if o.Record != nil {
		for _, c := range o.Record.Cells {
			p.built[c.ID] = c
			for _, row := range c.Rows {
				p.rows = append(p.rows, gpu.Observation{Host: row.Host, Row: row.Row})
			}
		}
	}
	return p, nil
}

// CommandTo is the command line that does something with this run, see [Options].
func (p *Publisher) CommandTo(do string) string {
	switch {
	case p.Command != nil:
		return p.Command(do, p.ID)
	case do == "":
		return "cudabuild push"
	}
	return "cudabuild push " + do + " " + p.ID
}

// ParseRepository reads where images are to go. A name without a registry is one of
// Docker Hub, where every repository has an owner.
func ParseRepository(to string) (name.Repository, error) {
	if message, next := matrix.CheckRepository(to); message != "" {
		return name.Repository{}, hint.Usage(message, next)
	}
	repo, err := name.NewRepository(to)
	if err != nil { // of names that the specification allows it takes none of one letter
		return repo, hint.Usage(err.Error(), "")
	}
	if repo.RegistryStr() == name.DefaultRegistry && !strings.Contains(to, "/") {
		return repo, hint.Usage(fmt.Sprintf("%q names no registry", to), "say where images go: cudabuild push registry.example.com/team/cuda, or publish: {to: ...} in matrix.yaml")
	}
	return repo, nil
}

// runID keeps the tag of a cell below 128 characters.
var runID = regexp.MustCompile(`^[a-z0-9][a-z0-9.]{0,31}$`)

// CheckRunID says what is wrong with the name of a run.
func CheckRunID(id string) error {
	if runID.MatchString(id) {
		return nil
	}
	return hint.Usage(fmt.Sprintf("%q cannot name a run", id), "1 to 32 lower-case letters, digits and dots, such as 1234567.1")
}

// NewRunID returns a name that no other run has.
func NewRunID() string {
	var random [6]byte
	_, _ = rand.Read(random[:]) // never fails
	return hex.EncodeToString(random[:])
}

// staging is the tag of a cell's image until it is promoted.
func (p *Publisher) staging(cell string) string { return stagingTag(p.ID, cell) }

func stagingTag(run, cell string) string { return "staging-" + run + "-" + cell }

// tagsOf are the tags of a cell without their repository, the canonical one first.
func tagsOf(c matrix.Cell) []string {
	var tags []string
	for _, full := range c.Tags {
		tags = append(tags, full[strings.LastIndex(full, ":")+1:])
	}
	return tags
}
