// SPDX-License-Identifier: Apache-2.0

// Package proxy reads which proxies the environment names, in all spellings that
// programs know, and says it to each program in the spelling that it reads.
//
// [FromEnvironment] reads them, [Proxy.Variables] is for programs and for Go's own
// downloads, [Proxy.Open] is what may be seen by others, and [Proxy.Apt] the rest: what
// has a login, as apt reads it.
package proxy

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/internal/hint"
)

// Proxy is a proxy for each scheme, "" where there is none. Its zero value means none.
type Proxy struct {
	HTTP, HTTPS, FTP, All string // addresses with a scheme
	No                    string // hosts to ask without one
}

var schemes = []string{"http", "https", "socks4", "socks4a", "socks5", "socks5h"}

// FromEnvironment reads http_proxy, https_proxy, ftp_proxy, all_proxy and no_proxy, in
// small or else in capital letters. Where http and https have none, they get that for
// all, which apt and Go do not read. The error names the variable and hides its login.
func FromEnvironment(getenv func(string) string) (p Proxy, err error) {
	p.No = cmp.Or(getenv("no_proxy"), getenv("NO_PROXY"))
	for name, to := range map[string]*string{"http_proxy": &p.HTTP, "https_proxy": &p.HTTPS, "ftp_proxy": &p.FTP, "all_proxy": &p.All} {
		value := cmp.Or(getenv(name), getenv(strings.ToUpper(name)))
		if value == "" {
			continue
		}
		if *to, err = address(value); err != nil {
			return Proxy{}, hint.Usage(fmt.Sprintf("%s: %v", name, err), "write http://HOST:PORT, or http://USER:PASSWORD@HOST:PORT with special characters as %40")
		}
	}
	p.HTTP, p.HTTPS = cmp.Or(p.HTTP, p.All), cmp.Or(p.HTTPS, p.All)
	return p, nil
}

// address gives an address the scheme that others take it to have.
func address(value string) (string, error) {
	if !strings.Contains(value, "://") {
		value = "http://" + value
	}
	u, err := url.Parse(value)
	if err != nil || u.Hostname() == "" || !slices.Contains(schemes, u.Scheme) || strings.ContainsAny(value, " \t\r\n\"\\;") {
		shown := value[strings.LastIndex(value, "@")+1:]
		return "", fmt.Errorf("%q is not the address of a proxy", shown)
	}
	return u.String(), nil
}

// Variables are the variables of an environment, NAME=VALUE, in both spellings.
func (p Proxy) Variables() []string {
	var variables []string
	for _, v := range [][2]string{{"http_proxy", p.HTTP}, {"https_proxy", p.HTTPS}, {"ftp_proxy", p.FTP}, {"all_proxy", p.All}, {"no_proxy", p.No}} {
		if v[1] != "" {
			variables = append(variables, v[0]+"="+v[1], strings.ToUpper(v[0])+"="+v[1])
		}
	}
	return variables
}

// Open is p without the proxies that have a login.
func (p Proxy) Open() Proxy {
	for _, address := range []*string{&p.HTTP, &p.HTTPS, &p.FTP, &p.All} {
		if hasLogin(*address) {
			*address = ""
		}
	}
	return p
}

// Apt is the proxies that have a login in apt's form, "" if none has.
func (p Proxy) Apt() string {
	var config string
	for _, v := range [][2]string{{"http", p.HTTP}, {"https", p.HTTPS}, {"ftp", p.FTP}} {
		if hasLogin(v[1]) {
			config += fmt.Sprintf("Acquire::%s::Proxy \"%s\";\n", v[0], v[1])
		}
	}
	return config
}

func hasLogin(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.User != nil
}
