// SPDX-License-Identifier: Apache-2.0

package k8s

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"
	"sync/atomic"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/cudabuild/cudabuild/internal/hint"
)

// Client speaks with the API server of one cluster about one namespace.
type Client struct {
	Namespace string
	rest      *rest.RESTClient
	reached   atomic.Bool
}

// Options say which cluster. The zero value is what kubectl would take: KUBECONFIG, then
// ~/.kube/config, then the pod that this runs in.
type Options struct {
	Kubeconfig string // file
	Context    string
	Namespace  string // "" is that of the context
}

// Open reads the configuration. It does not speak to the server yet.
func Open(o Options) (*Client, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.Kubeconfig
	loaded := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: o.Context})
	config, err := loaded.ClientConfig()
	if clientcmd.IsEmptyConfig(err) { // nobody knows the variable that this would speak of
		err = fmt.Errorf("%s: not there, or it names none", strings.Join(rules.GetLoadingPrecedence(), ", "))
	}
	if err != nil {
		return nil, hint.New(fmt.Sprintf("no Kubernetes cluster: %v", err), "name a kubeconfig with --kubeconfig FILE or KUBECONFIG, and a context of it with --context")
	}
	namespace, _, err := loaded.Namespace()
	if err != nil {
		return nil, err
	}
	if o.Namespace != "" {
		namespace = o.Namespace
	}
	if wrong := validation.IsDNS1123Label(namespace); len(wrong) > 0 {
		return nil, hint.Usage(fmt.Sprintf("namespace %q: %s", namespace, wrong[0]), "name one with --namespace")
	}
	// Errors of the server come as a metav1.Status, all else is read from JSON here.
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	config.GroupVersion = &schema.GroupVersion{Version: "v1"}
	config.QPS = -1 // the server has limits of its own
	client, err := rest.UnversionedRESTClientFor(config)
	if err != nil {
		return nil, err
	}
	return &Client{Namespace: namespace, rest: client}, nil
}

// kind is where objects of a kind are.
type kind struct {
	group, plural string
	global        bool // not of a namespace
}

var (
	configMaps     = kind{"api/v1", "configmaps", false}
	pods           = kind{"api/v1", "pods", false}
	events         = kind{"api/v1", "events", false}
	nodes          = kind{"api/v1", "nodes", true}
	jobs           = kind{"apis/batch/v1", "jobs", false}
	claimTemplates = kind{"apis/resource.k8s.io/v1", "resourceclaimtemplates", false}
	resourceSlices = kind{"apis/resource.k8s.io/v1", "resourceslices", true}
)

func (c *Client) path(k kind, name string) string {
	if k.global {
		return path.Join("/", k.group, k.plural, name)
	}
	return path.Join("/", k.group, "namespaces", c.Namespace, k.plural, name)
}

// create makes an object. One of that name that is there already is no error: made says whether
// there was none.
func (c *Client) create(ctx context.Context, k kind, object, into any) (made bool, err error) {
	body, err := json.Marshal(object)
	if err != nil {
		return false, err
	}
	data, err := c.ask(ctx, c.rest.Post().AbsPath(c.path(k, "")).SetHeader("Content-Type", "application/json").Body(body))
	if apierrors.IsAlreadyExists(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, json.Unmarshal(data, into)
}

// get reads an object. There is no error if it is not there.
func (c *Client) get(ctx context.Context, k kind, name string, into any) (found bool, err error) {
	data, err := c.ask(ctx, c.rest.Get().AbsPath(c.path(k, name)))
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, json.Unmarshal(data, into)
}

// list reads all objects of a kind that have the labels.
func (c *Client) list(ctx context.Context, k kind, labels string, into any) error {
	data, err := c.ask(ctx, c.rest.Get().AbsPath(c.path(k, "")).Param("labelSelector", labels))
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

// remove deletes an object and then what it owns. There is no error if it is not there.
func (c *Client) remove(ctx context.Context, k kind, name string) error {
	_, err := c.ask(ctx, c.rest.Delete().AbsPath(c.path(k, name)).Param("propagationPolicy", string(metav1.DeletePropagationBackground)))
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// ask sends a request. A client that has reached the server once waits for it where it is away.
func (c *Client) ask(ctx context.Context, request *rest.Request) ([]byte, error) {
	for {
		data, err := request.DoRaw(ctx)
		if err == nil {
			c.reached.Store(true)
			return data, nil
		}
		if err = say(explained(data, err)); refusal(err) || !c.reached.Load() || sleep(ctx) != nil {
			return nil, err
		}
	}
}

// explained has the server's own words in place of an error that has not read them.
func explained(answer []byte, err error) error {
	var status metav1.Status
	if json.Unmarshal(answer, &status) != nil || status.Kind != "Status" {
		return err
	}
	return &apierrors.StatusError{ErrStatus: status}
}

// refusal reports whether the server has answered, and would answer the same again.
func refusal(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && status.Status().Code < http.StatusInternalServerError && !apierrors.IsTooManyRequests(err)
}

// away reports whether the server has not answered, or may answer otherwise later.
func away(err error) bool { return err != nil && !refusal(err) }

// say names the server in an error that does not come from one, and the role in one that does.
func say(err error) error {
	var status apierrors.APIStatus
	switch {
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), " cannot "):
		return &hinted{err, "docs/fleet.md has the role that this needs"}
	case apierrors.IsUnauthorized(err):
		return &hinted{fmt.Errorf("the API server does not know who this is: %w", err), "the token or certificate of the kubeconfig may have expired: log in again, or name another with --kubeconfig or --context"}
	case errors.As(err, &status):
		return err
	}
	return fmt.Errorf("the API server: %w", err)
}

// hinted is an error of the server, and what to do about it.
type hinted struct {
	error

	hint string
}

func (e *hinted) Unwrap() error { return e.error }
func (e *hinted) Hint() string  { return e.hint }

// missing reports whether the server has no such objects for this client.
func missing(err error) bool { return apierrors.IsNotFound(err) || apierrors.IsForbidden(err) }
