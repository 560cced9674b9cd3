// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/cudabuild/cudabuild/internal/address"
	"github.com/cudabuild/cudabuild/internal/hint"
)

// instance is a builder in the store of docker buildx (its store/nodegroup.go).
type instance struct {
	Name, Driver string
	Nodes        []node
}

// node is one BuildKit of a builder. What its endpoint is depends on the driver: a context
// or an address of docker, the BuildKit's own address, or a place in a cluster.
type node struct {
	Name, Endpoint string
	DriverOpts     map[string]string
}

// buildx returns the addresses of the nodes of a builder that docker buildx knows. Where
// they are pods, kubectl is asked for their names. The error names the file; it is one of
// usage, but for a cluster that does not answer or runs no pod.
func buildx(ctx context.Context, name string) (addresses []string, err error) {
	dir, err := buildxDir()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "instances", name)
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, hint.Usage(fmt.Sprintf("buildx://%s: no such builder in %s", name, dir), "'docker buildx ls' lists those there are; one named default is Docker's own and no BuildKit to connect to")
	}
	if err != nil {
		return nil, hint.Usage(fmt.Sprintf("buildx://%s: %v", name, err), "BUILDX_CONFIG names the folder of docker buildx, whose files this user has to read")
	}
	i, err := parseInstance(data)
	if err != nil {
		return nil, fmt.Errorf("buildx://%s: %s: %w", name, file, err)
	}
	for _, n := range i.Nodes {
		found, err := n.addresses(ctx, i.Driver)
		for at := 0; err == nil && at < len(found); at++ {
			_, err = check(found[at])
		}
		if err != nil {
			return nil, fmt.Errorf("buildx://%s: %s: node %q: %w", name, file, n.Name, err)
		}
		addresses = append(addresses, found...)
	}
	return addresses, nil
}

// broken is a builder that docker buildx would not have written.
func broken(what string) error {
	return hint.Usage(what, "'docker buildx rm NAME' and 'docker buildx create' make the builder anew, or name the BuildKit by its address")
}

// buildxDir is where docker buildx keeps its store.
func buildxDir() (string, error) {
	if dir := os.Getenv("BUILDX_CONFIG"); dir != "" {
		return dir, nil
	}
	if dir := os.Getenv("DOCKER_CONFIG"); dir != "" {
		return filepath.Join(dir, "buildx"), nil
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".docker", "buildx"), err
}

func parseInstance(data []byte) (i instance, err error) {
	if err = json.Unmarshal(data, &i); err != nil {
		return instance{}, broken(fmt.Sprintf("no builder of docker buildx: %v", err))
	}
	if len(i.Nodes) == 0 {
		return instance{}, broken("the builder has no nodes")
	}
	return i, nil
}

// addresses of a node: one, or as many as it has pods.
func (n node) addresses(ctx context.Context, driver string) ([]string, error) {
	switch driver {
	case "docker-container":
		one, err := n.container()
		return []string{one}, err
	case "remote":
		one, err := n.remote()
		return []string{one}, err
	case "kubernetes":
		return n.pods(ctx)
	}
	return nil, hint.Usage(fmt.Sprintf("the driver %q is no BuildKit to connect to", driver), "'docker buildx create --driver docker-container' makes one that is")
}

// nodeName is what docker buildx takes for one.
var nodeName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._-]*$`)

// container is the address of a node in a container of docker.
func (n node) container() (string, error) {
	at := "docker-container://buildx_buildkit_" + n.Name
	switch {
	case !nodeName.MatchString(n.Name):
		return "", broken("no container has that name")
	case n.Endpoint == "", n.Endpoint == "default", n.Endpoint == cmp.Or(os.Getenv("DOCKER_HOST"), "unix:///var/run/docker.sock"):
		return at, nil
	case strings.Contains(n.Endpoint, "://"):
		return "", hint.Usage("its docker is at "+Public(n.Endpoint), "make that a context: 'docker context create', and a builder on it; or set DOCKER_HOST to it")
	}
	return at + "?context=" + url.QueryEscape(n.Endpoint), nil
}

// remote is the address of a node that somebody else runs, with the files of its TLS.
func (n node) remote() (string, error) {
	tls := url.Values{}
	for name, value := range n.DriverOpts {
		switch {
		case address.TLS(name):
			tls.Set(name, value)
		case name != "default-load": // how docker buildx treats the result
			return "", hint.Usage(fmt.Sprintf("unknown option %q of its driver", name), "name the BuildKit by its address")
		}
	}
	if len(tls) == 0 {
		return n.Endpoint, nil
	}
	return n.Endpoint + "?" + tls.Encode(), nil
}

// pods are the addresses of a node that is a deployment in a cluster.
func (n node) pods(ctx context.Context) ([]string, error) {
	place, err := url.Parse(n.Endpoint)
	if err != nil {
		return nil, broken(err.Error())
	}
	if file := place.Query().Get("kubeconfig"); file != "" && file != os.Getenv("KUBECONFIG") {
		return nil, hint.Usage("its cluster is of another configuration", "set KUBECONFIG="+file)
	}
	deployment := cmp.Or(place.Query().Get("deployment"), strings.ReplaceAll(n.Name, "_", "-"))
	where := []string{"--namespace=" + n.DriverOpts["namespace"]}
	query := url.Values{"container": {"buildkitd"}}
	if namespace := n.DriverOpts["namespace"]; namespace != "" {
		query.Set("namespace", namespace)
	}
	list := exec.CommandContext(ctx, "kubectl", append(where, "get", "pods", "--selector=app="+deployment, "--field-selector=status.phase=Running", "--output=name")...)
	var said strings.Builder
	list.Stderr = &said
	out, err := list.Output()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(said.String()), "\n") // the last tells; above it stand its attempts
		return nil, hint.New(fmt.Sprintf("kubectl: %v: %s", err, lines[len(lines)-1]), "'kubectl get pods' has to work here, in the cluster of the builder")
	}
	names := strings.Fields(string(out))
	if len(names) == 0 {
		return nil, hint.New(fmt.Sprintf("no pod of the deployment %s runs", deployment), "'docker buildx inspect --bootstrap' starts them")
	}
	for i, name := range names {
		names[i] = "kube-pod://" + strings.TrimPrefix(name, "pod/") + "?" + query.Encode()
	}
	return names, nil
}
