// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cudabuild/cudabuild/verify"
)

// sbom is a document of SPDX 2.3 in JSON.
// Source: SPDX 2.3, clauses 6 to 11.
type sbom struct {
	Version           string             `json:"spdxVersion"`
	DataLicense       string             `json:"dataLicense"`
	ID                string             `json:"SPDXID"`
	Name              string             `json:"name"`
	Namespace         string             `json:"documentNamespace"`
	CreationInfo      sbomCreation       `json:"creationInfo"`
	Packages          []sbomPackage      `json:"packages"`
	Relationships     []sbomRelationship `json:"relationships"`
	ExtractedLicenses []sbomLicense      `json:"hasExtractedLicensingInfos,omitempty"`
}

type sbomCreation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

// sbomPackage is an image, a layer or a package of a package manager's.
type sbomPackage struct {
	ID               string          `json:"SPDXID"`
	Name             string          `json:"name"`
	Version          string          `json:"versionInfo,omitempty"`
	Purpose          string          `json:"primaryPackagePurpose,omitempty"`
	Download         string          `json:"downloadLocation"`
	FilesAnalyzed    bool            `json:"filesAnalyzed"`
	Checksums        []sbomChecksum  `json:"checksums,omitempty"`
	SourceInfo       string          `json:"sourceInfo,omitempty"`
	LicenseConcluded string          `json:"licenseConcluded"`
	LicenseDeclared  string          `json:"licenseDeclared"`
	Copyright        string          `json:"copyrightText"`
	Comment          string          `json:"comment,omitempty"`
	References       []sbomReference `json:"externalRefs,omitempty"`
}

type sbomChecksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type sbomReference struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type sbomRelationship struct {
	From string `json:"spdxElementId"`
	Type string `json:"relationshipType"`
	To   string `json:"relatedSpdxElement"`
}

type sbomLicense struct {
	ID   string `json:"licenseId"`
	Name string `json:"name"`
	Text string `json:"extractedText"`
}

const (
	noAssertion  = "NOASSERTION"
	sbomDocument = "SPDXRef-DOCUMENT"
	creator      = "Tool: cudabuild-" // and its version
	namespaces   = "https://github.com/cudabuild/cudabuild/spdx/"

	imagePurpose = "CONTAINER" // an index, too
	layerPurpose = "ARCHIVE"
)

// NewSBOM makes a document of what an image's records list: the image, each of its layers, and each package, contained in
// the first layer that has it. Of an index it has all images, each with its own. version is that of the program.
func NewSBOM(s Subject, created time.Time, version string, images ...verify.Inventory) (Document, error) {
	if len(images) == 0 {
		return Document{}, errors.New("sbom: of no image")
	}
	created = created.UTC().Truncate(time.Second) // finer is no date of SPDX's
	b := sbomBuilder{ids: map[string]bool{}, licenses: licenses{map[string]string{}}, sbom: sbom{
		Version: "SPDX-2.3", DataLicense: "CC0-1.0", ID: sbomDocument, Name: s.Name + "@" + s.Digest,
		CreationInfo: sbomCreation{created.Format(time.RFC3339), []string{creator + version}},
	}}
	if len(images) == 1 && images[0].Digest == s.Digest {
		b.image(sbomDocument, "DESCRIBES", s.Name, images[0])
	} else {
		index := b.add("index", sbomOf(s.Name, s.Digest, imagePurpose, purl{kind: "oci", name: baseOf(s.Name), version: s.Digest, more: [][2]string{{"repository_url", s.Name}}}))
		b.relate(sbomDocument, "DESCRIBES", index)
		for _, image := range images {
			b.image(index, "CONTAINS", s.Name, image)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(b.extracted)) {
		b.ExtractedLicenses = append(b.ExtractedLicenses, sbomLicense{id, b.extracted[id], "Named so by records of the image: " + b.extracted[id]})
	}
	rest, err := encode(b.sbom)
	if err != nil {
		return Document{}, fmt.Errorf("sbom: %w", err)
	}
	b.Namespace = namespaces + s.Name + "@" + s.Digest + "/" + digestOf(rest) // of no other document, as SPDX wants it
	return newDocument(SBOM, s, created, b.sbom)
}

// sbomBuilder makes a document; of what is added an ID is given once.
type sbomBuilder struct {
	sbom
	licenses

	ids map[string]bool
}

// image adds one with all that is in it.
func (b *sbomBuilder) image(of, relation, name string, list verify.Inventory) {
	_, arch, _ := strings.Cut(list.Platform, "/")
	arch, _, _ = strings.Cut(arch, "/")
	image := b.add("image", sbomOf(name, list.Digest, imagePurpose, purl{
		kind: "oci", name: baseOf(name), version: list.Digest, more: [][2]string{{"arch", arch}, {"repository_url", name}},
	}))
	b.relate(of, relation, image)
	var layers []string
	for _, l := range list.Layers {
		p := sbomOf(l.Digest, l.Digest, layerPurpose, purl{})
		p.Version, p.Comment = "", l.CreatedBy
		layers = append(layers, b.add(fmt.Sprintf("layer-%d", l.Index), p))
		b.relate(image, "CONTAINS", layers[len(layers)-1])
	}
	for _, p := range list.Packages {
		is := sbomOf(p.Name, "", "", purlOf(p, list.OS))
		is.Version, is.LicenseDeclared = p.Version, b.declared(p.Licenses)
		is.SourceInfo = "listed in /" + p.Database
		if p.Source != "" {
			is.SourceInfo = "built from " + p.Source + ", " + is.SourceInfo
		}
		id := b.add(strings.Join(slices.DeleteFunc([]string{p.Manager, p.Name, p.Version, p.Arch}, func(s string) bool { return s == "" }), "-"), is)
		b.relate(layers[p.Layer], "CONTAINS", id)
	}
}

// sbomOf is a package of SPDX's that has a digest, or "" for one that has none.
func sbomOf(name, digest, purpose string, at purl) sbomPackage {
	p := sbomPackage{
		Name: name, Version: digest, Purpose: purpose, Download: noAssertion,
		LicenseConcluded: noAssertion, LicenseDeclared: noAssertion, Copyright: noAssertion,
	}
	if digest != "" {
		p.Checksums = []sbomChecksum{{"SHA256", strings.TrimPrefix(digest, "sha256:")}}
	}
	if at.kind != "" {
		p.References = []sbomReference{{"PACKAGE-MANAGER", "purl", at.String()}}
	}
	return p
}

// add enters a package under an ID that begins so.
func (b *sbomBuilder) add(id string, p sbomPackage) string {
	p.ID = "SPDXRef-" + strings.Trim(notOfIDs.ReplaceAllString(id, "-"), "-")
	for n, first := 2, p.ID; b.ids[p.ID]; n++ {
		p.ID = fmt.Sprintf("%s-%d", first, n)
	}
	b.ids[p.ID] = true
	b.Packages = append(b.Packages, p)
	return p.ID
}

func (b *sbomBuilder) relate(from, relation, to string) {
	b.Relationships = append(b.Relationships, sbomRelationship{from, relation, to})
}

// baseOf is the last part of a repository's name.
func baseOf(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// purl is a package URL.
// Source: https://github.com/package-url/purl-spec.
type purl struct {
	kind, space, name, version string
	more                       [][2]string // qualifiers, by name; those without a value are left out
}

// purlOf is that of a package, the zero value where its manager has none.
func purlOf(p verify.Package, os verify.OS) purl {
	distro := strings.Trim(os.ID+"-"+os.Version, "-")
	u := purl{name: p.Name, version: p.Version, more: [][2]string{{"arch", p.Arch}, {"distro", distro}}}
	switch p.Manager {
	case "dpkg":
		u.kind, u.space = "deb", cmp.Or(os.ID, "debian")
	case "rpm":
		u.kind, u.space = "rpm", os.ID
		if epoch, version, ok := strings.Cut(p.Version, ":"); ok {
			u.version, u.more = version, slices.Insert(u.more, 2, [2]string{"epoch", epoch})
		}
	case "apk":
		u.kind, u.space = "apk", cmp.Or(os.ID, "alpine")
	case "pacman":
		u.kind, u.space = "alpm", cmp.Or(os.ID, "arch")
	case "conda":
		u.kind, u.more = "conda", [][2]string{{"subdir", p.Arch}}
	case "wheel":
		u.kind, u.name, u.more = "pypi", strings.ToLower(strings.ReplaceAll(p.Name, "_", "-")), nil
	}
	return u
}

func (u purl) String() string {
	text := "pkg:" + u.kind
	for _, part := range []string{u.space, u.name} {
		if part != "" {
			text += "/" + purlEscape(part)
		}
	}
	if u.version != "" {
		text += "@" + purlEscape(u.version)
	}
	sep := "?"
	for _, q := range u.more {
		if q[1] != "" {
			text += sep + q[0] + "=" + purlEscape(q[1])
			sep = "&"
		}
	}
	return text
}

// purlEscape leaves letters, digits and ".-_~:".
func purlEscape(s string) string {
	var text strings.Builder
	for _, c := range []byte(s) {
		if c < 0x80 && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(".-_~:", c) >= 0) {
			text.WriteByte(c)
		} else {
			fmt.Fprintf(&text, "%%%02X", c)
		}
	}
	return text.String()
}
