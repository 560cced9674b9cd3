// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	// tries is how often a request is sent that may be repeated, and attempts how often an
	// upload is begun: it takes several requests, of which two may not.
	tries    = 10
	attempts = 16
	// firstPause is the first pause where a registry names none; longest is how much it grows.
	firstPause = 250 * time.Millisecond
	longest    = 16
	// maxWait bounds one wait that a registry asks for, maxWaits all of them without a success.
	maxWait  = 2 * time.Minute
	maxWaits = 10 * time.Minute
	// maxDoubts bounds what should not happen and does, without a success; of uploads
	// several go on at once.
	maxDoubts       = 2
	maxUploadDoubts = 8
)

// waiting is a transport that waits as long as the registry asks to, and repeats what may be.
type waiting struct {
	inner http.RoundTripper
	pace  *pace
}

// RoundTrip implements http.RoundTripper. A failure of what may not be repeated is handed
// up after the wait.
func (w *waiting) RoundTrip(req *http.Request) (*http.Response, error) {
	defer discard(req) // each try has a body of its own
	for try := 1; ; try++ {
		resp, v, err := w.once(req)
		if v == final {
			return resp, err
		}
		named, status := time.Duration(0), 0
		if err == nil {
			named, status = retryAfter(resp, time.Now()), resp.StatusCode
		}
		m := mark{busy: v == busy}
		repeatable := isRepeatable(req)
		switch {
		case repeatable && try == tries, !w.pace.failed(req.Context(), failure{req.URL.Host, v, isUpload(req), status, named}):
		case repeatable && err == nil:
			_ = resp.Body.Close()
			continue
		case repeatable:
			continue
		default:
			m.next = nextOf(req)
		}
		if err != nil {
			return nil, &markedError{err, m}
		}
		marked(req, resp, m)
		return resp, nil
	}
}

// once sends a request, when the registry lets it, and judges what came of it.
func (w *waiting) once(req *http.Request) (*http.Response, verdict, error) {
	if err := w.pace.turn(req.Context()); err != nil {
		return nil, final, err
	}
	fresh, err := withFreshBody(req)
	if err != nil {
		return nil, final, err
	}
	resp, err := w.inner.RoundTrip(fresh)
	v, err := w.judge(req, resp, err)
	if err != nil {
		return nil, v, err
	}
	if v == final {
		w.pace.answered(req, resp.StatusCode)
	}
	return resp, v, nil
}

// nextOf is what another try of a request takes that is not repeated here.
func nextOf(req *http.Request) next {
	if isUpload(req) {
		return startOver
	}
	return lookFirst
}

// withFreshBody returns the request with a body that nobody has read from: whoever logs in
// above sends one request twice.
func withFreshBody(req *http.Request) (*http.Request, error) {
	if !hasBody(req) {
		return req, nil
	}
	body := req.Body
	if req.GetBody != nil {
		fresh, err := req.GetBody()
		if err != nil {
			return nil, &localError{err}
		}
		body = fresh
	}
	req = req.WithContext(req.Context())
	req.GetBody = nil // or net/http takes another than the one that is watched below
	req.Body = &localBody{ReadCloser: body, left: req.ContentLength}
	return req, nil
}

// localError is a body that could not be read here.
type localError struct{ cause error }

func (e *localError) Error() string { return e.cause.Error() }
func (e *localError) Unwrap() error { return e.cause }

// localBody tells what goes wrong with a body here from what does on the way.
type localBody struct {
	io.ReadCloser

	left int64 // bytes that were promised
}

// Read implements io.Reader.
func (b *localBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	switch {
	case errors.Is(err, io.EOF) && b.left > 0:
		err = &localError{fmt.Errorf("what is to be sent ends %d bytes too early", b.left)}
	case err != nil && !errors.Is(err, io.EOF):
		err = &localError{err}
	}
	return n, err
}

// failure is an answer, or none, that may be another one later.
type failure struct {
	host    string
	verdict verdict
	upload  bool
	status  int           // 0: no answer
	named   time.Duration // how long the registry asks to wait; 0 if it does not
}

// newPace returns the pace of a registry that was not asked yet.
func newPace(first time.Duration, say func(string)) *pace {
	return &pace{first: first, say: say, good: map[string]bool{}, doubts: map[bool]int{}}
}

// pace is how a registry does: what is known about it to all requests of a client.
type pace struct {
	first time.Duration // the first pause
	say   func(string)

	mu       sync.Mutex
	until    time.Time       // nothing is sent before
	met      bool            // it has answered
	good     map[string]bool // tokens that it has accepted
	failures int             // since the last success, as the two below
	doubts   map[bool]int    // in uploads, which end with a commit, and in others
	waited   time.Duration   // because it asked to
}

// metBefore reports whether the registry has ever answered.
func (p *pace) metBefore() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.met
}

// worked reports whether a token was accepted before.
func (p *pace) worked(token string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.good[token]
}

// answered takes down an answer that is none to be repeated.
func (p *pace) answered(req *http.Request, status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.met = true
	if status == http.StatusUnauthorized {
		return
	}
	p.failures, p.waited = 0, 0
	if upload := isUpload(req); !upload || req.Method == http.MethodPut {
		delete(p.doubts, upload)
	}
	p.good[bearer(req)] = true
}

// turn waits until the registry may be asked.
func (p *pace) turn(ctx context.Context) error {
	for {
		p.mu.Lock()
		d := time.Until(p.until)
		p.mu.Unlock()
		if d <= 0 {
			return nil
		}
		if err := Sleep(ctx, d); err != nil {
			return err
		}
	}
}

// failed waits as a failure wants it, and reports whether another try makes sense.
func (p *pace) failed(ctx context.Context, f failure) bool {
	p.mu.Lock()
	p.met = p.met || f.status != 0
	p.failures++
	if f.verdict == doubtful {
		p.doubts[f.upload]++
	}
	var pause time.Duration
	hopeless := f.verdict == doubtful && p.doubts[f.upload] > map[bool]int{false: maxDoubts, true: maxUploadDoubts}[f.upload]
	switch {
	case hopeless:
	case f.named > 0:
		hopeless = !p.hold(f)
	default:
		pause = p.pause(f)
	}
	p.mu.Unlock()
	return !hopeless && Sleep(ctx, pause) == nil && p.turn(ctx) == nil
}

// hold stops all requests for as long as the registry asks, which is said, and reports
// whether it has not asked too often.
func (p *pace) hold(f failure) bool {
	now := time.Now()
	wait := min(f.named, maxWait)
	more := wait - max(0, p.until.Sub(now))
	if more <= 0 { // another request was told the same
		return true
	}
	if p.waited+more > maxWaits {
		return false
	}
	p.waited += more
	p.until = now.Add(wait)
	text := fmt.Sprintf("%s asks to wait %v (%d)", f.host, f.named.Round(time.Second), f.status)
	if wait < f.named {
		text += fmt.Sprintf("; trying again in %v", wait)
	}
	p.tell(more, text)
	return true
}

// pause is how long to wait where the registry does not say.
func (p *pace) pause(f failure) time.Duration {
	d := p.first * time.Duration(min(longest, 1<<min(p.failures-1, 10)))
	d = d/2 + rand.N(d/2+1) //nolint:gosec // not a secret: it keeps clients apart
	what := "does not answer"
	if f.status != 0 {
		what = "answers " + strconv.Itoa(f.status)
	}
	p.tell(d, fmt.Sprintf("%s %s; trying again in %v", f.host, what, d.Round(100*time.Millisecond)))
	return d
}

// tell says what people would wonder about.
func (p *pace) tell(d time.Duration, line string) {
	if p.say != nil && d >= time.Second-time.Millisecond {
		p.say(line)
	}
}

// Sleep waits, or returns the error of ctx if that ends first.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// retryAfter is how long an answer asks to wait, in seconds or until a date, which is one
// of the registry's clock; 0 if it does not.
func retryAfter(resp *http.Response, now time.Time) time.Duration {
	value := resp.Header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 32); err == nil {
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	if theirs, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		now = theirs
	}
	return max(0, at.Sub(now))
}
