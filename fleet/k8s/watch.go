// SPDX-License-Identifier: Apache-2.0

package k8s

import (
	"context"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// event is a pod that has changed, or, after the connection was lost, all that there are.
type event struct {
	pod  pod
	gone bool
	live map[string]bool // by UID; nil where it is one pod
}

// renew is after how many seconds the server is to end a watch, so that what it did not tell is listed.
const renew = "300"

// pause is between two tries to reach the server.
const pause = time.Second

// watch sends every pod that has these labels, as it is and as it becomes, until ctx ends. Where the
// server cannot be reached it tries again; what it refuses is an error.
func (c *Client) watch(ctx context.Context, labels string, changes chan<- event) error {
	for {
		err := c.watchOnce(ctx, labels, changes)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if refusal(err) && !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
			return err
		}
		if err := sleep(ctx); err != nil {
			return err
		}
	}
}

// watchOnce lists the pods and then follows their changes until the server ends the stream.
func (c *Client) watchOnce(ctx context.Context, labels string, changes chan<- event) error {
	var all struct {
		Metadata struct {
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
		Items []pod `json:"items"`
	}
	if err := c.list(ctx, pods, labels, &all); err != nil {
		return err
	}
	live := map[string]bool{}
	for _, p := range all.Items {
		live[p.Metadata.UID] = true
		if err := send(ctx, changes, event{pod: p}); err != nil {
			return err
		}
	}
	if err := send(ctx, changes, event{live: live}); err != nil {
		return err
	}
	stream, err := c.rest.Get().AbsPath(c.path(pods, "")).Param("labelSelector", labels).
		Param("watch", "true").Param("resourceVersion", all.Metadata.ResourceVersion).Param("timeoutSeconds", renew).Stream(ctx)
	if err != nil {
		return say(err)
	}
	defer stream.Close()
	for decoder := json.NewDecoder(stream); ; {
		var change struct {
			Type   string `json:"type"` // ADDED, MODIFIED, DELETED, ERROR
			Object pod    `json:"object"`
		}
		if err := decoder.Decode(&change); err != nil || change.Type == "ERROR" {
			return err
		}
		if err := send(ctx, changes, event{pod: change.Object, gone: change.Type == "DELETED"}); err != nil {
			return err
		}
	}
}

func send(ctx context.Context, changes chan<- event, e event) error {
	select {
	case changes <- e:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// maxLog is what is read of a container's log: a row, and what may stand before it.
const maxLog = 4 << 20

// log reads the log of a pod's program from its beginning: to the end of the container, or what is there now.
func (c *Client) log(ctx context.Context, pod string, follow bool) ([]byte, error) {
	stream, err := c.rest.Get().AbsPath(c.path(pods, pod)+"/log").Param("container", rowContainer).Param("follow", strconv.FormatBool(follow)).Stream(ctx)
	if err != nil {
		return nil, say(err)
	}
	defer stream.Close()
	var text strings.Builder
	_, err = io.Copy(&text, io.LimitReader(stream, maxLog))
	return []byte(text.String()), err
}
