// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/imagetest"
)

// documents are what stands around one layer. "CONFIG", "MANIFEST" and "LAYER" stand for
// a descriptor's digest and size, "DIFF" for the diff ID.
type documents struct{ index, manifest, config string }

var (
	docLayer = imagetest.Layer(imagetest.Gzip, imagetest.Files(map[string]imagetest.Entry{"etc/os-release": {Data: "ID=debian\n"}}))
	good     = documents{
		index:    `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json",MANIFEST,"platform":{"os":"linux","architecture":"amd64"}}]}`,
		manifest: `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json",CONFIG},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip",LAYER}]}`,
		config:   `{"os":"linux","architecture":"amd64","config":{"Env":["A=b"],"Labels":{"a":"b","A":"c"}},"rootfs":{"type":"layers","diff_ids":["DIFF"]},"history":[{"created_by":"RUN x"}]}`,
	}
)

func named(data string) string {
	return fmt.Sprintf(`"digest":"%s","size":%d`, imagetest.Digest([]byte(data)), len(data))
}

// finish fills in digests and sizes.
func (d documents) finish() documents {
	d.config = strings.ReplaceAll(d.config, "DIFF", docLayer.Diff.String())
	d.manifest = strings.NewReplacer("CONFIG", named(d.config), "LAYER", named(string(docLayer.Data))).Replace(d.manifest)
	d.index = strings.ReplaceAll(d.index, "MANIFEST", named(d.manifest))
	return d
}

// layout writes them as a layout.
func (d documents) layout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"oci-layout": `{"imageLayoutVersion":"1.0.0"}`, "index.json": d.index}
	for _, blob := range []string{d.index, d.manifest, d.config, string(docLayer.Data)} {
		files["blobs/sha256/"+imagetest.Digest([]byte(blob)).Hex] = blob
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// serve answers as a registry that has them: the index as tag "index", the manifest as
// "image", each with its own type or, if given, another.
func (d documents) serve(t *testing.T, contentType string) string {
	t.Helper()
	types := map[string]string{d.index: "application/vnd.oci.image.index.v1+json", d.manifest: "application/vnd.oci.image.manifest.v1+json"}
	byName := map[string]string{"index": d.index, "image": d.manifest}
	for _, blob := range []string{d.index, d.manifest, d.config, string(docLayer.Data)} {
		byName[imagetest.Digest([]byte(blob)).String()] = blob
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			return
		}
		blob, ok := byName[filepath.Base(r.URL.Path)]
		if !ok {
			http.NotFound(w, r)
			return
		}
		if kind := types[blob]; kind != "" {
			if contentType != "" {
				kind = contentType
			}
			w.Header().Set("Content-Type", kind)
		}
		_, _ = w.Write([]byte(blob))
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://") + "/team/app"
}

// readAll opens ref and reads manifest and configuration as everybody does.
func readDocuments(t *testing.T, ref string) error {
	t.Helper()
	sources, closer, err := image.Open(t.Context(), ref, image.OpenOptions{})
	if err != nil {
		return err
	}
	defer closer.Close()
	for _, s := range sources {
		if _, err := image.Config(s.Image); err != nil {
			return err
		}
	}
	return nil
}

func replaced(s, from, to string) string {
	if !strings.Contains(s, from) {
		panic("the document has no " + from)
	}
	return strings.Replace(s, from, to, 1)
}

// index, manifest and config change one of the good documents.
func index(from, to string) documents {
	d := good
	d.index = replaced(d.index, from, to)
	return d
}

func manifest(from, to string) documents {
	d := good
	d.manifest = replaced(d.manifest, from, to)
	return d
}

func config(from, to string) documents {
	d := good
	d.config = replaced(d.config, from, to)
	return d
}

// TestOneReading: what two tools may read differently, or cannot be read in bounded
// memory, is refused wherever it comes from.
func TestOneReading(t *testing.T) {
	t.Parallel()
	many := func(element string, size int) string {
		return "[" + strings.Repeat(element+",", size/(len(element)+1)) + element + "]"
	}
	for name, tc := range map[string]struct {
		documents
		says string
	}{
		"layers and manifests":       {manifest(`"layers":`, `"manifests":[],"layers":`), `"manifests"`},
		"schema 1 inside":            {manifest(`"layers":`, `"fsLayers":[{"blobSum":"x"}],"layers":`), `"fsLayers"`},
		"Layers too":                 {manifest(`"layers":`, `"Layers":[],"layers":`), `"Layers"`},
		"only Layers":                {manifest(`"layers":`, `"Layers":`), `"Layers"`},
		"layerſ":                     {manifest(`"layers":`, `"layerſ":[],"layers":`), `"layerſ"`},
		"layers twice":               {manifest(`"layers":`, `"layers":[],"layers":`), `"layers" twice`},
		"layers twice, escaped":      {manifest(`"layers":`, `"\u006cayers":[],"layers":`), `"layers" twice`},
		"digest twice":               {manifest(`"layers":[{`, `"layers":[{"digest":"sha256:00",`), `"digest" twice`},
		"Digest too":                 {manifest(`"layers":[{`, `"layers":[{"Digest":"sha256:00",`), `"Digest"`},
		"URLs":                       {manifest(`"layers":[{`, `"layers":[{"URLs":["http://127.0.0.1:1/"],`), `"URLs"`},
		"unknown key twice":          {manifest(`{"schemaVersion"`, `{"x":1,"x":2,"schemaVersion"`), `"x" twice`},
		"data of another digest":     {manifest(`"layers":[{`, `"layers":[{"data":"eA==",`), "inline data"},
		"mediaType of an index":      {manifest(`image.manifest.v1`, `image.index.v1`), "media type"},
		"mediaType of docker":        {manifest(`vnd.oci.image.manifest.v1`, `vnd.docker.distribution.manifest.v2`), "media type"},
		"schemaVersion 3":            {manifest(`"schemaVersion":2`, `"schemaVersion":3`), "schemaVersion"},
		"no schemaVersion":           {manifest(`"schemaVersion":2,`, ``), "schemaVersion"},
		"something behind it":        {manifest(`{"schemaVersion"`, `{}{"schemaVersion"`), "manifest"},
		"invalid UTF-8":              {manifest(`{"schemaVersion"`, "{\"x\":\"\xff\",\"schemaVersion\""), "UTF-8"},
		"a list":                     {documents{good.index, `[]`, good.config}, "manifest"},
		"too many layers":            {manifest(`"layers":`, `"x":`+many("{}", 400<<10)+`,"layers":`), "more than"},
		"config of 5 MiB":            {config(`{"os"`, `{"x":"`+strings.Repeat("x", 5<<20)+`","os"`), "more than"},
		"manifest of 5 MiB":          {manifest(`{"schemaVersion"`, `{"x":"`+strings.Repeat("x", 5<<20)+`","schemaVersion"`), "more than"},
		"index: manifests, layers":   {index(`"manifests":`, `"layers":[],"manifests":`), `"layers"`},
		"index: config":              {index(`"manifests":`, `"config":{},"manifests":`), `"config"`},
		"index: Manifests":           {index(`"manifests":`, `"Manifests":[],"manifests":`), `"Manifests"`},
		"index: manifests twice":     {index(`"manifests":`, `"manifests":[],"manifests":`), `"manifests" twice`},
		"index: os twice":            {index(`"os":"linux"`, `"os":"linux","os":"windows"`), `"os" twice`},
		"index: mediaType":           {index(`image.index.v1`, `image.manifest.v1`), "media type"},
		"index: schemaVersion":       {index(`"schemaVersion":2`, `"schemaVersion":1`), "schema"},
		"index: something behind":    {documents{good.index + "x", good.manifest, good.config}, "index"},
		"index: too much":            {index(`"manifests":`, `"x":`+many("{}", 400<<10)+`,"manifests":`), "more than"},
		"config: RootFS":             {config(`"rootfs":`, `"RootFS":{"type":"layers","diff_ids":[]},"rootfs":`), `"RootFS"`},
		"config: rootfs twice":       {config(`"rootfs":`, `"rootfs":{"type":"layers","diff_ids":[]},"rootfs":`), `"rootfs" twice`},
		"config: diff_ids twice":     {config(`"diff_ids":`, `"diff_ids":[],"diff_ids":`), `"diff_ids" twice`},
		"config: Diff_IDs":           {config(`"diff_ids":`, `"Diff_IDs":[],"diff_ids":`), `"Diff_IDs"`},
		"config: history twice":      {config(`"history":`, `"history":[],"history":`), `"history" twice`},
		"config: empty_Layer":        {config(`"created_by":`, `"empty_Layer":true,"created_by":`), `"empty_Layer"`},
		"config: Env and env":        {config(`"Env":`, `"env":[],"Env":`), `"Env" twice`},
		"config: something behind":   {documents{good.index, good.manifest, good.config + `{"os":"windows"}`}, "config"},
		"config: much history":       {config(`"history":[`, `"history":[`+strings.Repeat("{},", 400<<10)), "more than"},
		"config: label twice":        {config(`"a":"b"`, `"a":"b","a":"d"`), `"a" twice`},
		"config: nothing but a word": {documents{good.index, good.manifest, "null"}, "config"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := tc.finish()
			remote := d.serve(t, "")
			for _, ref := range []string{"oci:" + d.layout(t), remote + ":index", remote + ":image"} {
				if strings.HasSuffix(ref, ":image") && strings.HasPrefix(name, "index") {
					continue
				}
				if err := readDocuments(t, ref); err == nil || !strings.Contains(err.Error(), tc.says) {
					t.Errorf("%s: %v, want an error about %s", ref, err, tc.says)
				}
			}
		})
	}
}

// TestRealDocuments: what tools write besides is no reason to refuse.
func TestRealDocuments(t *testing.T) {
	t.Parallel()
	for name, d := range map[string]documents{
		"plain":          good,
		"no mediaType":   manifest(`"mediaType":"application/vnd.oci.image.manifest.v1+json",`, ``),
		"OCI 1.1":        manifest(`{"schemaVersion"`, `{"artifactType":"a/b","subject":{"mediaType":"a/b","digest":"`+docLayer.Want.String()+`","size":3},"annotations":{"x":"y","X":"y"},"schemaVersion"`),
		"unknown keys":   manifest(`{"schemaVersion"`, `{"io.example":{"Layers":[],"layers":[]},"schemaVersion"`),
		"docker":         config(`{"os"`, `{"container":"x","container_config":{"Hostname":"x","Cmd":null,"Image":"sha256:x","Volumes":null},"docker_version":"20.10.7","created":"2021-10-16T00:37:47.578710012Z","id":"x","parent":"y","throwaway":true,"os.version":"1","variant":"v8","os"`),
		"BuildKit":       config(`{"os"`, `{"moby.buildkit.buildinfo.v1":"e30=","moby.buildkit.cache.v0":"W10=","os"`),
		"podman, kaniko": config(`{"os"`, `{"author":"kaniko","created":"1970-01-01T00:00:00Z","Size":5,"os"`),
		"nix":            config(`"Env":`, `"cmd":["/bin/sh"],"Env":`),
		"health":         config(`"Env":`, `"Healthcheck":{"Test":["NONE"],"StartInterval":5},"ExposedPorts":{"80/tcp":{}},"Volumes":{"/a":{},"/A":{}},"OnBuild":null,"Env":`),
		"white space":    {good.index + "\n", "\n" + good.manifest + "\n", good.config + " \r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := d.finish()
			remote := d.serve(t, "")
			for _, ref := range []string{"oci:" + d.layout(t), remote + ":index", remote + ":image", d.serve(t, "application/json") + ":index", d.serve(t, "text/plain; charset=utf-8") + ":image"} {
				if err := readDocuments(t, ref); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestContentType: a registry that calls a manifest an index, or the other way round.
func TestContentType(t *testing.T) {
	t.Parallel()
	d := good.finish()
	for ref, says := range map[string]string{
		d.serve(t, "application/vnd.oci.image.manifest.v1+json") + ":index":                          "another kind",
		d.serve(t, "application/vnd.oci.image.index.v1+json") + ":image":                             "another kind",
		d.serve(t, "application/vnd.docker.distribution.manifest.list.v2+json") + ":index":           "media type",
		d.serve(t, "application/vnd.docker.distribution.manifest.v2+json; charset=utf-8") + ":image": "media type",
	} {
		if err := readDocuments(t, ref); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want an error about the %s", ref, err, says)
		}
	}
}

// TestOneReadingOfSavedImages: the same of what docker save writes.
func TestOneReadingOfSavedImages(t *testing.T) {
	t.Parallel()
	config := good.finish().config
	for saved, says := range map[string]string{
		`[{"Config":"c.json","RepoTags":["a:1"],"Layers":["l.tar"]}]`:                       "",
		`[{"Config":"c.json","RepoTags":null,"Layers":["l.tar"],"Parent":"","Extra":1}]`:    "",
		`[{"Config":"c.json","Layers":["l.tar"],"LayerSources":{"sha256:x":{"size":1}}}]`:   "",
		`[{"Config":"c.json","Layers":["x.tar"],"Layers":["l.tar"]}]`:                       `"Layers" twice`,
		`[{"Config":"c.json","layers":["x.tar"],"Layers":["l.tar"]}]`:                       `"layers"`,
		`[{"config":"c.json","Layers":["l.tar"]}]`:                                          `"config"`,
		`[{"Config":"c.json","Layers":["l.tar"]}] []`:                                       "manifest.json",
		`[{"Config":"c.json","Layers":["l.tar"]},` + strings.Repeat("{},", 400<<10) + `{}]`: "more than",
	} {
		file := filepath.Join(t.TempDir(), "saved.tar")
		files := map[string]imagetest.Entry{"manifest.json": {Data: saved}, "c.json": {Data: config}, "l.tar": {Data: string(docLayer.Data)}}
		if err := os.WriteFile(file, imagetest.Files(files), 0o600); err != nil {
			t.Fatal(err)
		}
		err := readDocuments(t, "docker-archive:"+file)
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%.100s: %v, want %q", saved, err, says)
		}
	}
}

// TestArchiveSaysItTwice: of two members of one name tools take the first or the last.
func TestArchiveSaysItTwice(t *testing.T) {
	t.Parallel()
	d := good.finish()
	const end = 1024 // of an archive: two blocks of zeros
	first := imagetest.Files(map[string]imagetest.Entry{"manifest.json": {Data: `[{"Config":"c.json","Layers":["l.tar"]}]`}, "c.json": {Data: d.config}, "l.tar": {Data: string(docLayer.Data)}})
	again := func(name, data string) []byte {
		return append(first[:len(first)-end:len(first)-end], imagetest.Files(map[string]imagetest.Entry{name: {Data: data}})...)
	}
	for name, tc := range map[string]struct {
		data []byte
		says string
	}{
		"same":     {again("manifest.json", `[{"Config":"c.json","Layers":["l.tar"]}]`), ""},
		"other":    {again("manifest.json", `[{"Config":"c.json","Layers":["m.tar"]}]`), "manifest.json is in the archive twice"},
		"a config": {again("./c.json", d.config+" "), "c.json is in the archive twice"},
		"a layer":  {again("l.tar", "other"), "l.tar is in the archive twice"},
	} {
		file := filepath.Join(t.TempDir(), "saved.tar")
		if err := os.WriteFile(file, tc.data, 0o600); err != nil {
			t.Fatal(err)
		}
		err := readDocuments(t, "docker-archive:"+file)
		if (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, want %q", name, err, tc.says)
		}
	}
}
