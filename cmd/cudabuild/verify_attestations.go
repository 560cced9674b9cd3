// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/attest"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/internal/plain"
	"github.com/cudabuild/cudabuild/publish"
)

// attestationsDocument is what verify --attestations --json prints.
type attestationsDocument struct {
	Version int             `json:"version"` // 1
	Reports []attest.Report `json:"reports"` // in the order of the arguments; never null
}

// attestations reads what is attached to images, and says what that is worth.
func (f *verifyFlags) readAttestations(cmd *cobra.Command, refs []string) error {
	if f.format != "text" && f.format != "json" {
		return fmt.Errorf("--format %s is for verdicts; --attestations knows text and json", f.format)
	}
	key, err := readPublicKey(f.key)
	if err != nil {
		return err
	}
	policy, err := requiredPolicy(cmd, f.require)
	if err != nil {
		return err
	}
	doc := attestationsDocument{Version: 1, Reports: make([]attest.Report, len(refs))}
	problems := make([]error, len(refs))
	each(len(refs), func(i int) {
		doc.Reports[i], problems[i] = f.attestationsOf(cmd, refs[i], attest.Options{Registry: f.registry(), Key: key, Policy: policy})
	})
	if f.format == "json" {
		err = plain.JSON(cmd.OutOrStdout(), doc)
	} else {
		err = attestationsPage(cmd, doc.Reports)
	}
	if err != nil {
		return &exitError{code: exitUnknown, err: err}
	}
	return attestationsError(doc.Reports, errors.Join(problems...))
}

// digestForm is a digest as all documents write it.
var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// requiredPolicy is the digest of the policy that --require names; "" asks for none.
func requiredPolicy(cmd *cobra.Command, require string) (string, error) {
	if require == "" || digestForm.MatchString(require) {
		return require, nil
	}
	m, err := (&selection{file: require}).open(cmd.InOrStdin())
	if err != nil {
		return "", tell(cmd, err, false)
	}
	return publish.Policy(m.Publish()).Digest(), nil
}

func (f *verifyFlags) attestationsOf(cmd *cobra.Command, ref string, o attest.Options) (r attest.Report, err error) {
	if image.OnDisk(ref) {
		err = hint.Usage(ref+" is not in a registry", "evidence is attached there: name the image as registry/repo:tag")
	} else {
		r, err = attest.Look(cmd.Context(), ref, o)
	}
	if err != nil {
		err = printable{err}
		r = attest.Unread(ref, err)
	}
	return r, err
}

// attestationsError maps reports and problems to an exit code, as verifyError does.
func attestationsError(reports []attest.Report, problem error) error {
	worst := &exitError{}
	if problem != nil {
		worst = &exitError{code: hint.Code(problem, exitUnknown), err: problem}
	}
	for _, r := range reports {
		if r.State == attest.Incomplete {
			worst.code = exitFailed
		}
	}
	if worst.code == 0 {
		return nil
	}
	return worst
}

func attestationsPage(cmd *cobra.Command, reports []attest.Report) error {
	var page bytes.Buffer
	for i, r := range reports {
		if i > 0 {
			page.WriteByte('\n')
		}
		if r.Error != "" {
			fmt.Fprintf(&page, "UNKNOWN  %s\n  could not be read: %s\n", oneLine(r.Ref), why(r.Ref, r.Error))
			continue
		}
		checked := "signatures were not checked: --key FILE names the key that must have signed"
		if r.Key != "" {
			checked = "signatures by " + r.Key
		}
		if r.Policy != "" {
			checked += "\n  by policy " + r.Policy
		}
		fmt.Fprintf(&page, "%s  %s\n  %s\n", strings.ToUpper(string(r.State)), oneLine(r.Ref), checked)
		for _, img := range r.Images {
			attestedImage(&page, img, r.Repository)
		}
		for _, s := range r.Skipped {
			fmt.Fprintf(&page, "\n  not looked at  %s  %s\n", s.Digest, oneLine(s.Is))
		}
	}
	_, err := cmd.OutOrStdout().Write(page.Bytes())
	return err
}

// attestedImage prints what is attached to one image of a repository, and what that says.
func attestedImage(w *bytes.Buffer, img attest.Image, repository string) {
	const line = "    %-10s %-10s  %s\n" // the longest state and kind
	fmt.Fprintf(w, "\n  %s  %s\n", oneLine(img.Platform), img.Digest)
	for _, same := range together(img.Documents, repository) {
		d := same[0]
		fmt.Fprintf(w, line, d.State, cmp.Or(string(d.Kind), "-"), shortDigest(d.Digest)+"  "+oneLine(signer(d, repository)))
		for _, said := range d.Summary {
			fmt.Fprintf(w, "               %s\n", oneLine(said))
		}
		if more := len(same) - 1; more > 0 {
			fmt.Fprintf(w, "               and %d more like it\n", more)
		}
	}
	for _, kind := range img.Missing {
		fmt.Fprintf(w, "    %-10s %s\n", "missing", kind)
	}
	if img.Others > 0 {
		fmt.Fprintf(w, "    and %s of other kinds\n", counted(img.Others, "artifact"))
	}
	for _, bad := range img.Bad {
		fmt.Fprintf(w, "    not looked at: in the list of what is attached, %s\n", oneLine(bad))
	}
}

// together are documents, with those together of which the same would be said: who may push can attach thousands.
func together(documents []attest.Attached, repository string) (all [][]attest.Attached) {
	at := map[string]int{}
	for _, d := range documents {
		says := fmt.Sprintf("%q", append([]string{string(d.State), string(d.Kind), anyDigest.ReplaceAllString(signer(d, repository), "sha256:...")}, d.Summary...))
		if i, known := at[says]; known {
			all[i] = append(all[i], d)
			continue
		}
		at[says] = len(all)
		all = append(all, []attest.Attached{d})
	}
	return all
}

// anyDigest is a digest in a text.
var anyDigest = regexp.MustCompile(`sha256:[0-9a-f]{64}`)

// signer says by whom a document is signed, which other repository than this it is about, as those of an image that
// was copied are, and what is wrong with it.
func signer(d attest.Attached, repository string) string {
	text := "not signed"
	switch {
	case d.State == attest.Damaged && d.Signer == "": // who signed it could not be read
		return d.Why
	case d.Verified:
		text = "signature verified"
	case d.Signer != "":
		text = "signed by " + d.Signer + ", not verified"
	}
	if d.Repository != "" && d.Repository != repository {
		text += ", about " + d.Repository
	}
	if d.Why != "" {
		text += ": " + d.Why
	}
	return text
}
