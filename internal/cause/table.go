// SPDX-License-Identifier: Apache-2.0

package cause

import (
	"regexp"

	"golang.org/x/sys/unix"
)

// kind is what a cause means.
type kind struct {
	says   string
	hint   string
	outage bool
	err    error
}

const network = "is the network up? --debian-mirror or CUDABUILD_DEBIAN_MIRROR names a mirror, http_proxy a proxy"

var kinds = map[string]kind{
	"gone":        {says: "the mirror has not this version any more", hint: "the mirror has moved on since its package lists were read: --refresh reads them again and builds from the new state; with --locked, name a mirror by date that has the old one"},
	"no file":     {says: "no such file, the repository has moved or its address is wrong", hint: "has the repository moved? --debian-mirror names the address of a mirror, and an override in the recipe of the OS says where a repository is"},
	"bytes":       {says: "what the mirror sent is not what its package lists promise", hint: "the mirror is being updated, or something in between changes files: try again with --refresh, or name another mirror with --debian-mirror"},
	"busy":        {says: "the mirror cannot answer just now", outage: true, hint: "try again later, or name another mirror with --debian-mirror or CUDABUILD_DEBIAN_MIRROR"},
	"login":       {says: "the mirror wants another login", outage: true, hint: "put the login into /etc/apt/auth.conf.d of this machine, or into the address of the mirror"},
	"proxy":       {says: "the proxy wants another login", outage: true, hint: "look at http_proxy, and at Acquire::http::Proxy in apt's configuration"},
	"name":        {says: "the server's name is not known", outage: true, hint: network},
	"refused":     {says: "nothing answers at the server's address", outage: true, hint: network},
	"silent":      {says: "the server does not answer", outage: true, hint: network},
	"cut":         {says: "the connection broke off", outage: true, hint: network},
	"certificate": {says: "the server's certificate is not trusted", outage: true, hint: "install the certificate authority of the mirror on this machine (update-ca-certificates), or name the mirror with http://: its packages are signed; look at the clock too"},
	"full":        {says: "the disk is full", outage: true, err: unix.ENOSPC, hint: "free some space ('cudabuild prune --all' drops build caches), or write elsewhere (--state-dir, --out, -o)"},
	"absent":      {says: "the repositories have no such package", hint: "is the name right in the recipe? --refresh looks whether the repositories have it by now"},
	"version":     {says: "the repositories have not that version", hint: "is the version right in the recipe? --refresh looks whether the repositories have it by now"},
	"unmet":       {says: "it asks for what cannot be installed", hint: "the package that is asked for must be in a repository of this OS and must not be held or in conflict: look at the packages of the recipe"},
	"signature":   {says: "the package lists are not signed by a key that is known", hint: "the mirror, or something in between, serves other lists, or the repository has a new key: install the newest keyring package of the distribution on this machine"},
	"expired":     {says: "the package lists are too old", hint: "name a mirror that is kept up to date; one by date has the date in its path, as in http://snapshot.example/archive/debian/20260101T000000Z; look at the clock too"},
	"script":      {says: "its installation failed", hint: "the lines above the end of the progress say why"},
	"other":       {says: "it could not be fetched", hint: network},
}

// words are what downloaders say of one file, apt, curl and Go among them. The first that
// fits counts.
var words = []struct {
	pattern *regexp.Regexp
	kind    string
}{
	{regexp.MustCompile(`(?i)no space left on device|disk quota exceeded|not enough (free|disk) space`), "full"},
	{regexp.MustCompile(`(?i)\b407\b|proxy authentication`), "proxy"},
	{regexp.MustCompile(`(?i)certificate|x509|SSL (connect|peer)|TLS handshake|could not handshake`), "certificate"},
	{regexp.MustCompile(`(?i)hash sum mismatch|unexpected size|hashes? of received|checksum|does not match|delta[^ ]* bad`), "bytes"},
	{regexp.MustCompile(`(?i)\b(404|410)\b|not found on medium`), "gone"},
	{regexp.MustCompile(`(?i)\b(401|403)\b`), "login"},
	{regexp.MustCompile(`(?i)\b(429|5[0-9][0-9])\b +[A-Z]|(code|error|returned)[^0-9]{1,12}(429|5[0-9][0-9])\b|too many requests`), "busy"},
	{regexp.MustCompile(`(?i)resolv|no such host|name or service not known|server misbehaving|wicked happened`), "name"},
	{regexp.MustCompile(`(?i)refused|no route to host|unreachable|couldn't connect|could not connect|failed to connect|unable to connect`), "refused"},
	{regexp.MustCompile(`(?i)timed? ?out|deadline exceeded|too slow`), "silent"},
	{regexp.MustCompile(`(?i)connection (failed|reset|broke|closed)|closed (the )?connection|unexpected (EOF|end of file)|\bEOF\b|empty reply|transfer closed|partial file|error reading from server|undetermined error|broken pipe`), "cut"},
	{regexp.MustCompile(`(?i)GPG|signature|NO_PUBKEY|not signed|EXPKEYSIG|BADSIG`), "signature"},
}

// form is a line that tells a cause. Its pattern names the parts: package, or address or
// file, which say it too, and why. An empty kind means that words know it.
type form struct {
	pattern *regexp.Regexp
	kind    string
}

// forms are tried group by group: what the first group knows is surer than what the
// second does, and that than what the last does, which may have been made good by another try or mirror.
var forms = [][]form{
	{
		{regexp.MustCompile(`^package (?P<package>\S+): (?P<why>version (?P<version>\S+) is not in the repositories(, they have (?P<have>.*))?)$`), "version"}, // our own scripts
		{regexp.MustCompile(`^package (?P<package>\S+): (?P<why>there is no .*)$`), "absent"},
		{regexp.MustCompile(`^[EW]: Failed to fetch (?P<address>\S+) +(?P<why>.*)$`), ""},
		{regexp.MustCompile(`^E: Unable to locate package (?P<package>\S+)`), "absent"},
		{regexp.MustCompile(`^E: Couldn't find any package by (glob|regex) '(?P<package>[^']+)'`), "absent"},
		{regexp.MustCompile(`^E: Package '?(?P<package>[^' ]+)'? has no installation candidate`), "absent"},
		{regexp.MustCompile(`^E: Version '(?P<why>[^']+)' for '(?P<package>[^']+)' was not found`), "version"},
		{regexp.MustCompile(`^ *(?P<package>[a-z0-9][a-z0-9+.:-]*) : (?P<why>(Pre-?)?(Depends|Conflicts|Breaks): .*)$`), "unmet"},
		{regexp.MustCompile(`^[EW]: Release file for (?P<address>\S+) (?P<why>is (expired|not valid yet).*)$`), "expired"},
		{regexp.MustCompile(`^[EW]: GPG error: (?P<address>\S+) (?P<why>.*)$`), "signature"},
		{regexp.MustCompile(`^E: (?P<why>You don't have enough free space in \S+)`), "full"},
		{regexp.MustCompile(`^(?P<package>\S+\.rpm): (?P<why>.*(does not match|signature|digest).*)$`), "bytes"},
		{regexp.MustCompile(`(?i)^(Error: |Problem: |- )?nothing provides (?P<why>.+) needed by (?P<package>\S+)`), "unmet"},
		{regexp.MustCompile(`^(Error: )?(No match for argument|Unable to find a match): (?P<package>\S+)`), "absent"},
		{regexp.MustCompile(`^No package (?P<package>\S+) available\.?$`), "absent"},
		{regexp.MustCompile(`^No provider of '(?P<package>[^']+)' found\.$`), "absent"},
		{regexp.MustCompile(`^Package '(?P<package>[^']+)' not found\.$`), "absent"},
		{regexp.MustCompile(`^File '(?P<file>[^']+)' (?P<why>not found on medium) '(?P<address>[^']+)'`), ""},
		{regexp.MustCompile(`^Download \(curl\) error for '(?P<address>[^']+)'`), ""},
	},
	{ // what follows from a file that could not be fetched; apt may say it first
		{regexp.MustCompile(`^E: The repository '(?P<address>\S+)[^']*' (?P<why>is (not|no longer) signed.*)$`), "signature"},
		{regexp.MustCompile(`^E: The repository '(?P<address>\S+)[^']*' (?P<why>(does not have|no longer has) a Release file.*)$`), "no file"},
	},
	{
		{regexp.MustCompile(`^\[(MIRROR|FAILED)\] (?P<file>\S+): (?P<why>.*?)( for (?P<address>https?://\S+).*)?$`), ""}, // dnf
		{regexp.MustCompile(`^ +- (?P<why>(Status code|Curl error).*?) for (?P<address>https?://\S+)`), ""},
		{regexp.MustCompile(`^(?P<address>https?://\S+): (?P<why>\[Errno -?[0-9]+\] .*)$`), ""}, // yum
		{regexp.MustCompile(`^Error message: (?P<why>.*)$`), ""},                                // zypper
		{regexp.MustCompile(`^dpkg: error processing (package|archive) (?P<package>\S+)`), "script"},
		{regexp.MustCompile(`(?i)^.*(?P<why>no space left on device|disk quota exceeded)`), "full"},
	},
}
