// SPDX-License-Identifier: Apache-2.0

package pkgindex

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"iter"
)

var _ Reader = RPM

// rpmPackage is a package element of primary.xml as createrepo_c writes it.
type rpmPackage struct {
	Name    string `xml:"name"`
	Arch    string `xml:"arch"`
	Version struct {
		Version string `xml:"ver,attr"`
		Release string `xml:"rel,attr"`
	} `xml:"version"`
	Checksum struct {
		Type string `xml:"type,attr"`
		Text string `xml:",chardata"`
	} `xml:"checksum"`
	Size struct {
		Package int64 `xml:"package,attr"`
	} `xml:"size"`
	Location struct {
		Href string `xml:"href,attr"`
	} `xml:"location"`
}

// RPM reads a primary.xml. A list that ends before its last element does is an error.
func RPM(list io.Reader) iter.Seq2[Package, error] {
	return func(yield func(Package, error) bool) {
		ration := &ration{list, maxEntry}
		dec := xml.NewDecoder(ration)
		for {
			token, err := dec.Token()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Package{}, err)
				return
			}
			start, ok := token.(xml.StartElement)
			if !ok || start.Name.Local != "package" {
				continue
			}
			ration.left = maxEntry
			p, err := decodeRPM(dec, start)
			if !yield(p, err) || err != nil {
				return
			}
			ration.left = maxEntry
		}
	}
}

func decodeRPM(dec *xml.Decoder, start xml.StartElement) (Package, error) {
	var r rpmPackage
	if err := dec.DecodeElement(&r, &start); err != nil {
		return Package{}, err
	}
	p := Package{Name: r.Name, Version: r.Version.Version + "-" + r.Version.Release, Arch: r.Arch, Size: r.Size.Package, File: r.Location.Href}
	if r.Version.Version == "" || r.Version.Release == "" {
		return Package{}, fmt.Errorf("package %q: no version and release", short(r.Name))
	}
	if r.Checksum.Type == "sha256" {
		p.SHA256 = r.Checksum.Text
	}
	if err := p.check(); err != nil {
		return Package{}, err
	}
	return p, nil
}

// ration is a reader that gives up after so many bytes, unless it is filled again.
type ration struct {
	io.Reader

	left int
}

func (r *ration) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, fmt.Errorf("an entry of more than %d bytes", maxEntry)
	}
	n, err := r.Reader.Read(p[:min(len(p), r.left)])
	r.left -= n
	return n, err
}
