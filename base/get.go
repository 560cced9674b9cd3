// SPDX-License-Identifier: Apache-2.0

package base

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// pauses come before the second and the third try to get a file.
var pauses = []time.Duration{time.Second, 3 * time.Second}

// get asks a repository for a file, again if the server says that it cannot answer just
// now. Like [http.Client.Do] it returns every answer, the last one of a busy server too.
func get(ctx context.Context, address string, login *url.Userinfo) (*http.Response, error) {
	for try := 0; ; try++ {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return nil, err
		}
		if login != nil {
			word, _ := login.Password()
			req.SetBasicAuth(login.Username(), word)
		}
		resp, err := (&http.Client{Timeout: time.Minute}).Do(req)
		if err != nil || !busy(resp) || try == len(pauses) {
			return resp, err
		}
		_ = resp.Body.Close()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pauses[try]):
		}
	}
}

// busy reports whether a server is there and has no answer.
func busy(resp *http.Response) bool {
	return resp.StatusCode >= http.StatusInternalServerError || resp.StatusCode == http.StatusTooManyRequests
}
