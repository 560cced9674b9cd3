// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// verdict is what an answer, or none, means for the next try.
type verdict int

const (
	final    verdict = iota // it will not change
	busy                    // the registry cannot now, or the connection broke: later
	lost                    // the upload's session is gone: another session
	doubtful                // it should not have happened: once more or twice, but not for ever
)

// maxWhole bounds what of an answer is read before it counts as one. Manifests that are
// longer are handed up as they come.
const maxWhole = 4<<20 + 1

// judge looks at what came of a request. Of an answer that is no blob it reads the body,
// so that one which breaks off counts as none.
func (w *waiting) judge(req *http.Request, resp *http.Response, err error) (verdict, error) {
	if err == nil && !isBlob(req, resp) {
		err = readWhole(resp)
	}
	switch {
	case err != nil:
		return w.ofError(req, err), err
	case resp.StatusCode == http.StatusUnauthorized:
		return w.ofDenial(req, resp), nil
	default:
		return ofStatus(req, resp), nil
	}
}

// isBlob reports whether an answer is the content of a layer or a configuration.
func isBlob(req *http.Request, resp *http.Response) bool {
	return req.Method == http.MethodGet && resp.StatusCode < http.StatusMultipleChoices && strings.Contains(origin(req).URL.Path, "/blobs/")
}

// readWhole puts what is read in the place of an answer's body.
func readWhole(resp *http.Response) error {
	read, err := io.ReadAll(io.LimitReader(resp.Body, maxWhole))
	if err != nil {
		_ = resp.Body.Close()
		return err
	}
	rest := resp.Body
	resp.Body = readCloser{io.MultiReader(bytes.NewReader(read), rest), rest}
	return nil
}

// text is the beginning of a body that was read whole, which stays as it is.
func text(resp *http.Response) []byte {
	begin, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	resp.Body = readCloser{io.MultiReader(bytes.NewReader(begin), resp.Body), resp.Body}
	return begin
}

// ofError: a connection that could not be made at all is final, unless it could be before.
func (w *waiting) ofError(req *http.Request, err error) verdict {
	var (
		slow    *slowError
		refused *RefusedError
		local   *localError
		cert    *tls.CertificateVerificationError
		alert   tls.AlertError
		record  tls.RecordHeaderError
		dial    *net.OpError
	)
	switch {
	case errors.As(err, &slow) && isUpload(req):
		return doubtful
	case errors.As(err, &slow), errors.As(err, &refused), errors.As(err, &local), errors.Is(err, errRedirects), req.Context().Err() != nil:
		return final
	case errors.As(err, &cert), errors.As(err, &alert), errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return final
	case errors.As(err, &dial) && dial.Op == "dial" && !w.pace.metBefore():
		return final
	}
	return busy
}

// ofDenial: a token that was good before has expired, and is renewed above, for one more
// try; an upload gets others, since many share that token. One that never was good may be
// too new for one of several servers, whose clocks differ. Without a challenge nothing can be renewed.
func (w *waiting) ofDenial(req *http.Request, resp *http.Response) verdict {
	challenge := strings.Join(resp.Header.Values("WWW-Authenticate"), ",")
	token := bearer(req)
	switch {
	case strings.Contains(challenge, "insufficient_scope"):
		return final
	case challenge == "" && (token != "" || isPing(req)), token != "" && (isUpload(req) || !w.pace.worked(token)):
		return doubtful
	}
	return final
}

// bearer is the token of a request, "" if it has none.
func bearer(req *http.Request) string {
	token, is := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
	if !is {
		return ""
	}
	return token
}

// rateLimit is how registries say with 403 that it was too much; GHCR does.
var rateLimit = regexp.MustCompile(`(?i)rate.?limit|too.?many.?requests`)

// full is how they say with 5xx, and with 403, what will not change.
var full = regexp.MustCompile(`(?i)quota|no space left|storage limit`)

// ofStatus judges an answer by its status, and by its body where that alone does not tell.
func ofStatus(req *http.Request, resp *http.Response) verdict {
	switch code := resp.StatusCode; {
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == 499: // nginx: the client went away
		return busy
	case code == http.StatusForbidden:
		if resp.Header.Get("Retry-After") != "" || resp.Header.Get("X-Ratelimit-Remaining") == "0" || rateLimit.Match(text(resp)) {
			return busy
		}
	case slices.Contains([]int{http.StatusNotImplemented, http.StatusHTTPVersionNotSupported, http.StatusInsufficientStorage, http.StatusNetworkAuthenticationRequired}, code):
		return final
	case code >= http.StatusInternalServerError:
		if !full.Match(text(resp)) {
			return busy
		}
	case code >= http.StatusBadRequest && isUpload(req):
		return ofUpload(resp)
	}
	return final
}

// ofUpload judges a refusal of a blob's bytes, or of their commit.
func ofUpload(resp *http.Response) verdict {
	codes := errorCodes(text(resp))
	has := func(wanted ...transport.ErrorCode) bool {
		return slices.ContainsFunc(codes, func(c transport.ErrorCode) bool { return slices.Contains(wanted, c) })
	}
	switch {
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable, has(transport.BlobUploadUnknownErrorCode, transport.BlobUploadInvalidErrorCode),
		resp.StatusCode == http.StatusNotFound && len(codes) == 0:
		return lost
	case has(transport.DigestInvalidErrorCode, transport.SizeInvalidErrorCode):
		return doubtful
	}
	return final
}

// errorCodes are the codes in the body of an error, of the form that the distribution
// specification gives it.
func errorCodes(body []byte) (codes []transport.ErrorCode) {
	var said transport.Error
	_ = json.Unmarshal(body, &said)
	for _, d := range said.Errors {
		codes = append(codes, d.Code)
	}
	return codes
}

// onManifests splits the path of a manifest.
var onManifests = regexp.MustCompile(`^/v2/.+/manifests/([^/]+)$`)

// isPing reports whether a request asks how to log in.
func isPing(req *http.Request) bool { return req.URL.Path == "/v2/" }

// isUpload reports whether a request brings the bytes of a blob, or commits them: the
// addresses for that are the registry's to choose.
func isUpload(req *http.Request) bool {
	return req.Method == http.MethodPatch || req.Method == http.MethodPut && !onManifests.MatchString(req.URL.Path)
}

// isRepeatable reports whether a request may be sent again when nobody knows what came
// of it: reads, what opens an upload session or asks for a token, a manifest under its digest.
func isRepeatable(req *http.Request) bool {
	switch req.Method {
	case http.MethodGet, http.MethodHead:
		return true
	case http.MethodPost:
		return !hasBody(req) || isForm(req) && req.GetBody != nil
	case http.MethodPut:
		ref := onManifests.FindStringSubmatch(req.URL.Path)
		return ref != nil && strings.Contains(ref[1], ":") && req.GetBody != nil
	}
	return false
}

// mark is what is known about a failure that was handed up.
type mark struct {
	next next
	busy bool // the registry could not then
}

// next is what another try takes.
type next int

const (
	lookFirst next = iota + 1 // a look at what came of this one
	startOver                 // go-containerregistry's loop around an upload, which looks itself
)

// Again reports whether it makes sense to try once more what ended with err: the registry
// was busy, or the connection broke. The wait for that is over by then. It does not for
// requests that were repeated already.
func Again(err error) bool { return markOf(err).next != 0 }

// startsOver is Again for go-containerregistry, which would send a tag again, too, and
// undo what somebody else did meanwhile.
func startsOver(err error) bool { return markOf(err).next == startOver }

// Busy reports whether err is of a registry that could not, or to which it was too much, for
// as long as it was asked: it may be otherwise later.
func Busy(err error) bool { return markOf(err).busy }

// Absent reports an error by which a registry says that it has no such thing.
func Absent(err error) bool {
	var answer *transport.Error
	return errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound
}

// Unread reports an error by which something could not be read: it may be as it should. Other errors are of
// what is there and is wrong, and of what is not there.
func Unread(err error) bool {
	var (
		answer *transport.Error
		failed net.Error // url.Error, too
		slow   *slowError
	)
	if errors.As(err, &answer) {
		return !Absent(err)
	}
	return errors.As(err, &failed) || errors.As(err, &slow) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.Canceled)
}

// Hint is what to do about an error of a registry; "" if that is not known.
func Hint(err error) string {
	var answer *transport.Error
	switch {
	case Busy(err):
		return "it was too much for the registry, for as long as cudabuild waits: try again later; many let those ask more who log in"
	case errors.As(err, &answer) && full.MatchString(answer.Error()):
		return "the registry is full, or a quota is used up: make room there; what it has already is not sent again"
	case errors.As(err, &answer) && (answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden):
		return "log in with 'docker login' or 'podman login', whose credentials are used, or look whether there is such a repository"
	}
	return ""
}

type markKey struct{}

// markedError is a failure without an answer.
type markedError struct {
	error

	mark mark
}

func (e *markedError) Unwrap() error { return e.error }

// marked marks an answer, whose error will name its request.
func marked(req *http.Request, resp *http.Response, m mark) {
	if resp.Request != nil {
		req = resp.Request
	}
	resp.Request = req.WithContext(context.WithValue(req.Context(), markKey{}, m))
}

// markOf returns the mark of an error of go-containerregistry; its zero value if it has none.
func markOf(err error) (m mark) {
	var failure *markedError
	var answer *transport.Error
	switch {
	case errors.As(err, &failure):
		return failure.mark
	case errors.As(err, &answer) && answer.Request != nil:
		m, _ = answer.Request.Context().Value(markKey{}).(mark)
	}
	return m
}
