// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"encoding/xml"
	"fmt"
	"path"
	"strconv"
	"time"
)

// repomd is repodata/repomd.xml as createrepo_c writes it.
type repomd struct {
	Revision string `xml:"revision"`
	Data     []struct {
		Type     string `xml:"type,attr"`
		Checksum struct {
			Type string `xml:"type,attr"`
			Text string `xml:",chardata"`
		} `xml:"checksum"`
		Location struct {
			Href string `xml:"href,attr"`
		} `xml:"location"`
		Timestamp string `xml:"timestamp"`
		Size      int64  `xml:"size"`
	} `xml:"data"`
}

// readRepomd reads repomd.xml and its signature.
func readRepomd(ctx context.Context, get Get, r Repository, ring keyring) (Index, [][]file, error) {
	state := Index{Address: r.URL + "/repodata/repomd.xml"}
	data, signer, err := ring.detached(ctx, get, state.Address, ".asc")
	if err != nil {
		return state, nil, err
	}
	state.Key, state.SHA256 = signer, sum(data)
	list, err := parseRepomd(data, &state)
	if err != nil {
		return state, nil, fmt.Errorf("%s: %w", state.Address, err)
	}
	return state, [][]file{{list}}, nil
}

// parseRepomd returns the list of packages. The date is the newest of all.
func parseRepomd(data []byte, state *Index) (list file, err error) {
	var md repomd
	if err := xml.Unmarshal(data, &md); err != nil {
		return list, err
	}
	newest, _ := strconv.ParseInt(md.Revision, 10, 64)
	for _, d := range md.Data {
		seconds, _ := strconv.ParseFloat(d.Timestamp, 64) // some tools write fractions
		newest = max(newest, int64(seconds))
		if d.Type != "primary" {
			continue
		}
		list = file{d.Location.Href, d.Checksum.Text, d.Size}
		if _, known := decoders[path.Ext(list.name)]; !known || !list.valid() || d.Checksum.Type != "sha256" {
			return file{}, fmt.Errorf("primary: file %q with %s %q makes no sense", list.name, d.Checksum.Type, list.sha256)
		}
	}
	switch {
	case newest <= 0 || newest > 1<<40:
		return file{}, fmt.Errorf("no date")
	case list.name == "":
		return file{}, fmt.Errorf("no primary")
	}
	state.Date = time.Unix(newest, 0).UTC()
	return list, nil
}
