// SPDX-License-Identifier: Apache-2.0

package main

import (
	"regexp"
	"strings"
	"time"

	"github.com/spdx/tools-golang/spdx/v2/common"
	"github.com/spdx/tools-golang/spdx/v2/v2_3"
)

// home is the path of the project's modules, and with https:// before it an address.
const home = "github.com/cudabuild/cudabuild"

// document says that the archive of a folder contains programs, and what each depends on.
func document(name string, date time.Time, programs []program) *v2_3.Document {
	d := documented{ids: map[common.ElementID]bool{}, Document: &v2_3.Document{
		SPDXVersion: v2_3.Version, DataLicense: v2_3.DataLicense, SPDXIdentifier: "DOCUMENT",
		DocumentName: name, DocumentNamespace: "https://" + home + "/spdx/" + name,
		CreationInfo: &v2_3.CreationInfo{
			Creators:       []common.Creator{{CreatorType: "Organization", Creator: "cudabuild"}},
			Created:        date.UTC().Format(time.RFC3339),
			CreatorComment: "A module's licenses are those whose texts are in its folder, of code and of documentation; AND may mean OR there.",
		},
	}}
	archive := d.add(v2_3.Package{PackageName: name + ".tar.gz", PackageLicenseDeclared: "NOASSERTION", PrimaryPackagePurpose: "ARCHIVE"})
	d.relate(d.SPDXIdentifier, common.TypeRelationshipDescribe, archive)
	for _, p := range programs {
		made := describe(p.source)
		made.PackageName, made.PackageFileName, made.PrimaryPackagePurpose = p.name, name+"/"+p.name, "APPLICATION"
		made.PackageChecksums = []common.Checksum{{Algorithm: common.SHA256, Value: p.sum}}
		id := d.add(made)
		d.relate(archive, common.TypeRelationshipContains, id)
		for _, part := range p.parts {
			d.relate(id, common.TypeRelationshipDependsOn, d.add(describe(part)))
		}
	}
	return d.Document
}

func describe(p part) v2_3.Package {
	return v2_3.Package{
		PackageName: p.name, PackageVersion: p.version, PackageLicenseDeclared: p.license,
		PackageExternalReferences: []*v2_3.PackageExternalReference{
			{Category: common.CategoryPackageManager, RefType: common.TypePackageManagerPURL, Locator: p.url},
		},
	}
}

// documented is a document and the packages that it has.
type documented struct {
	*v2_3.Document

	ids map[common.ElementID]bool
}

var notOfIDs = regexp.MustCompile(`[^A-Za-z0-9.]+`)

// add returns the ID of a package, which is entered once.
func (d documented) add(p v2_3.Package) common.ElementID {
	id := common.ElementID(notOfIDs.ReplaceAllString(strings.Join([]string{p.PackageName, p.PackageVersion}, "-"), "-"))
	if !d.ids[id] {
		d.ids[id] = true
		p.PackageSPDXIdentifier, p.PackageDownloadLocation = id, "NOASSERTION"
		d.Packages = append(d.Packages, &p)
	}
	return id
}

func (d documented) relate(a common.ElementID, relation string, b common.ElementID) {
	d.Relationships = append(d.Relationships, &v2_3.Relationship{
		RefA: common.DocElementID{ElementRefID: a}, Relationship: relation, RefB: common.DocElementID{ElementRefID: b},
	})
}
