// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"errors"
	"io/fs"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify"
)

// rawImage is an image of any manifest and config, with one blob.
type rawImage struct {
	manifest, config []byte
	blob             *imagetest.Blob
}

func (r rawImage) RawManifest() ([]byte, error)        { return r.manifest, nil }
func (r rawImage) RawConfigFile() ([]byte, error)      { return r.config, nil }
func (r rawImage) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }
func (r rawImage) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	if h != r.blob.Want {
		return nil, fs.ErrNotExist
	}
	return r.blob, nil
}

// FuzzImage asserts of any manifest and config: a report or an error, never both,
// and "pass" only if every layer of the manifest is the blob that holds nothing.
func FuzzImage(f *testing.F) {
	blob := imagetest.Layer(imagetest.Gzip, imagetest.Files(map[string]imagetest.Entry{"etc/os-release": {Data: "ID=debian\n"}}))
	good := imagetest.New(blob, blob)
	manifest, err := good.RawManifest()
	config, configErr := good.RawConfigFile()
	if err := errors.Join(err, configErr); err != nil {
		f.Fatal(err)
	}
	f.Add(manifest, config)
	f.Add([]byte(`{"layers":[]}`), []byte(`{}`))
	v := verify.New(verify.Options{})
	f.Fuzz(func(t *testing.T, manifest, config []byte) {
		img, err := partial.CompressedToImage(rawImage{manifest, config, blob})
		if err != nil {
			return
		}
		report, err := v.Image(t.Context(), "x", img)
		if (err == nil) != (report.Verdict != "") {
			t.Fatalf("verdict %q and error %v", report.Verdict, err)
		}
		if err == nil && report.Verdict == verify.Pass && report.Stats.BytesRead+report.Stats.BytesCached != int64(report.Stats.Layers*len(blob.Data)) {
			t.Errorf("pass of %d layers after %+v", report.Stats.Layers, report.Stats)
		}
	})
}
