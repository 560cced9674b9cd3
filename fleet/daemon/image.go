// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Image is one that the daemon has.
type Image struct {
	ID       string `json:"Id"` // of its configuration; with containerd's store of its manifest, or of the index
	RepoTags []string
}

// Login is how a registry knows a user: a name with a password, or a token.
type Login struct {
	Username      string `json:"username,omitempty"`
	Password      string `json:"password,omitempty"`
	IdentityToken string `json:"identitytoken,omitempty"`
	RegistryToken string `json:"registrytoken,omitempty"`
	ServerAddress string `json:"serveraddress,omitempty"`
}

// Pull has the daemon pull an image, by digest, and waits until it has it.
func (c *Client) Pull(ctx context.Context, ref string, login Login) error {
	header := http.Header{}
	if login != (Login{}) {
		data, err := json.Marshal(login) //nolint:gosec // G117: the daemon is to have the password
		if err != nil {
			return err
		}
		header.Set("X-Registry-Auth", base64.URLEncoding.EncodeToString(data))
	}
	answer, err := c.send(ctx, http.MethodPost, "/images/create", url.Values{"fromImage": {ref}}, nil, header)
	if err != nil {
		return err
	}
	defer answer.Close()
	return progress(answer)
}

// Load has the daemon read an archive of images, as `docker load` does.
func (c *Client) Load(ctx context.Context, archive io.Reader) error {
	answer, err := c.send(ctx, http.MethodPost, "/images/load", url.Values{"quiet": {"1"}}, archive, http.Header{"Content-Type": {"application/x-tar"}})
	if err != nil {
		return err
	}
	defer answer.Close()
	return progress(answer)
}

// errCut is the end of a report that did not come to one.
var errCut = errors.New("the daemon's report was cut off")

// progress reads a report to its end: documents one after the other, of which one may be an error. The
// status of the answer says nothing of it: that came before the work.
func progress(report io.Reader) error {
	for documents := json.NewDecoder(io.LimitReader(report, maxAnswer)); ; {
		var said struct {
			Error       string `json:"error"`
			ErrorDetail struct {
				Message string `json:"message"`
			} `json:"errorDetail"`
		}
		switch err := documents.Decode(&said); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("%w: %v", errCut, err)
		case said.ErrorDetail.Message != "":
			return &Error{http.StatusInternalServerError, strings.TrimSpace(said.ErrorDetail.Message)}
		case said.Error != "":
			return &Error{http.StatusInternalServerError, strings.TrimSpace(said.Error)}
		}
	}
}

// Image finds an image by a reference or an ID. See [IsNotFound].
func (c *Client) Image(ctx context.Context, ref string) (img Image, err error) {
	return img, c.ask(ctx, http.MethodGet, "/images/"+ref+"/json", nil, nil, &img)
}

// Images lists all.
func (c *Client) Images(ctx context.Context) (all []Image, err error) {
	return all, c.ask(ctx, http.MethodGet, "/images/json", nil, nil, &all)
}

// Tag gives an image another name.
func (c *Client) Tag(ctx context.Context, id, repo, tag string) error {
	return c.ask(ctx, http.MethodPost, "/images/"+id+"/tag", url.Values{"repo": {repo}, "tag": {tag}}, nil, nil)
}

// RemoveImage takes a name from an image, and removes the image if it was the last. One that is not
// there is no error.
func (c *Client) RemoveImage(ctx context.Context, ref string) error {
	err := c.ask(ctx, http.MethodDelete, "/images/"+ref, nil, nil, nil)
	if IsNotFound(err) {
		return nil
	}
	return err
}
