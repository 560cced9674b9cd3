// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"strings"
	"unicode/utf8"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Index, manifest and configuration are read in one way only: what another tool may read
// otherwise is refused. encoding/json alone takes the last of two keys, takes "Layers" for
// "layers", and stops behind the first document.

// Bounds of a document. Registries accept 4 MiB; a value of a few bytes becomes one of two
// hundred in memory.
const (
	maxDocument = 4 << 20
	maxValues   = 100_000
)

// shape is the keys that objects of one kind have, with the shapes of what is in them, or
// in lists of them. A nil shape is anything.
type shape struct {
	keys map[string]*shape
	not  []string // keys that make it a document of another kind
	lax  bool     // a key in other letters is taken too, as every runtime does
}

// The shapes are those of the image-spec and of Docker's distribution manifests.
var (
	descriptorShape = &shape{keys: map[string]*shape{
		"mediaType": nil, "digest": nil, "size": nil, "data": nil, "urls": nil, "annotations": nil, "artifactType": nil,
		"platform": {keys: map[string]*shape{"architecture": nil, "os": nil, "os.version": nil, "os.features": nil, "variant": nil, "features": nil}},
	}}
	manifestShape = &shape{
		keys: map[string]*shape{"schemaVersion": nil, "mediaType": nil, "artifactType": nil, "config": descriptorShape, "layers": descriptorShape, "subject": descriptorShape, "annotations": nil},
		not:  []string{"manifests", "fsLayers", "history", "signatures"},
	}
	indexShape = &shape{
		keys: map[string]*shape{"schemaVersion": nil, "mediaType": nil, "artifactType": nil, "manifests": descriptorShape, "subject": descriptorShape, "annotations": nil},
		not:  []string{"config", "layers", "fsLayers", "history", "signatures"},
	}
	configShape = &shape{keys: map[string]*shape{
		"architecture": nil, "os": nil, "os.version": nil, "os.features": nil, "variant": nil, "author": nil, "created": nil, "container": nil, "docker_version": nil,
		"rootfs":  {keys: map[string]*shape{"type": nil, "diff_ids": nil}},
		"history": {keys: map[string]*shape{"author": nil, "created": nil, "created_by": nil, "comment": nil, "empty_layer": nil}},
		"config": {lax: true, keys: map[string]*shape{
			"Cmd": nil, "Entrypoint": nil, "Env": nil, "ExposedPorts": nil, "Healthcheck": nil, "Labels": nil, "OnBuild": nil, "Shell": nil,
			"StopSignal": nil, "User": nil, "Volumes": nil, "WorkingDir": nil, "ArgsEscaped": nil,
		}},
	}}
	savedShape = &shape{keys: map[string]*shape{"Config": nil, "RepoTags": nil, "Layers": nil}}
)

// decode reads a document of a shape into out, which is a pointer.
func (s *shape) decode(raw []byte, out any) error {
	if err := s.check(raw); err != nil {
		return err
	}
	return json.Unmarshal(raw, out)
}

// check reports what two tools may read differently, and what is too much.
func (s *shape) check(raw []byte) error {
	switch {
	case len(raw) > maxDocument:
		return errTooLong
	case !utf8.Valid(raw):
		return errors.New("it is not in UTF-8")
	case !json.Valid(raw):
		return fmt.Errorf("it is not one document of JSON: %w", json.Unmarshal(raw, new(json.RawMessage)))
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	left := maxValues
	return s.value(dec, &left)
}

var errTooLong = fmt.Errorf("it has more than %d bytes", maxDocument)

// value checks the next value of dec, which is valid JSON, and counts down left.
func (s *shape) value(dec *json.Decoder, left *int) error {
	if *left--; *left < 0 {
		return fmt.Errorf("it holds more than %d values", maxValues)
	}
	token, err := dec.Token()
	if err != nil {
		return err
	}
	switch token {
	case json.Delim('['):
		for dec.More() {
			if err := s.value(dec, left); err != nil {
				return err
			}
		}
	case json.Delim('{'):
		if err := s.object(dec, left); err != nil {
			return err
		}
	default:
		return nil
	}
	_, err = dec.Token() // the end of it
	return err
}

func (s *shape) object(dec *json.Decoder, left *int) error {
	seen := map[string]bool{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		key, err := s.known(token.(string))
		if err == nil && seen[key] {
			err = fmt.Errorf("it has the key %q twice, and tools differ in which they take", key)
		}
		if err != nil {
			return err
		}
		seen[key] = true
		var inside *shape
		if s != nil {
			inside = s.keys[key]
		}
		if err := inside.value(dec, left); err != nil {
			return err
		}
	}
	return nil
}

// known returns the key that a key means to those who do not tell letters apart.
func (s *shape) known(key string) (string, error) {
	if s == nil {
		return key, nil
	}
	for _, other := range s.not {
		if strings.EqualFold(key, other) {
			return "", fmt.Errorf("it has the key %q, which belongs into a document of another kind: tools differ in what they take it for", key)
		}
	}
	if _, ok := s.keys[key]; ok {
		return key, nil
	}
	for known := range s.keys {
		if !strings.EqualFold(key, known) {
			continue
		}
		if !s.lax {
			return "", fmt.Errorf("it has the key %q, and tools differ in whether that is %q", key, known)
		}
		return known, nil
	}
	return key, nil
}

// ParseManifest reads an image's manifest, which others say to be of a media type, "" if they
// do not. It is an error if tools may read it in different ways.
func ParseManifest(raw []byte, said types.MediaType) (*v1.Manifest, error) {
	var m v1.Manifest
	err := manifestShape.decode(raw, &m)
	switch {
	case isSchema1(raw):
		return nil, errSchema1
	case err == nil:
		err = cmp.Or(checkVersion(m.SchemaVersion), checkMediaType(m.MediaType, said, m.MediaType.IsIndex()), checkData(append([]v1.Descriptor{m.Config}, m.Layers...)))
	}
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	return &m, checkConfigSize(&m)
}

// ParseIndex reads an index, as [ParseManifest] does a manifest.
func ParseIndex(raw []byte, said types.MediaType) (*v1.IndexManifest, error) {
	var m v1.IndexManifest
	err := indexShape.decode(raw, &m)
	switch {
	case err == nil && m.Manifests == nil:
		return nil, errNoIndex
	case err == nil:
		err = cmp.Or(checkVersion(m.SchemaVersion), checkMediaType(m.MediaType, said, m.MediaType.IsImage()), checkData(m.Manifests))
	}
	if err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	return &m, nil
}

// isSchema1 recognises the old manifests, which are no error of whoever wrote them.
func isSchema1(raw []byte) bool {
	var old struct {
		SchemaVersion int64 `json:"schemaVersion"`
	}
	return len(raw) <= maxDocument && json.Unmarshal(raw, &old) == nil && old.SchemaVersion == 1
}

func checkVersion(version int64) error {
	if version != 2 {
		return fmt.Errorf("its schemaVersion is %d, not 2", version)
	}
	return nil
}

// checkMediaType compares what a document says of itself with what is said of it.
func checkMediaType(inside, said types.MediaType, otherKind bool) error {
	if otherKind || isKnown(said) && inside != "" && inside != said {
		return fmt.Errorf("its media type is %q in the document, and %q to those who name it", inside, said)
	}
	return nil
}

func checkConfigSize(m *v1.Manifest) error {
	if m.Config.Size > maxDocument {
		return fmt.Errorf("config of %d bytes, more than %d", m.Config.Size, maxDocument)
	}
	return nil
}

// isKnown tells media types of images and indexes from those that registries without a
// mind of their own give everything, such as text/plain.
func isKnown(t types.MediaType) bool { return t.IsImage() || t.IsIndex() }

// mediaTypeOf returns the media type of a document that came with one in an HTTP header,
// or else the one that it gives itself.
func mediaTypeOf(raw []byte, header types.MediaType) types.MediaType {
	if bare, _, err := mime.ParseMediaType(string(header)); err == nil {
		header = types.MediaType(bare)
	}
	if isKnown(header) || header.IsSchema1() {
		return header
	}
	var inside struct {
		MediaType types.MediaType `json:"mediaType"`
	}
	if json.Unmarshal(raw, &inside) == nil && isKnown(inside.MediaType) {
		return inside.MediaType
	}
	return header
}

// checkData compares blobs that stand in a document themselves, which some tools take.
func checkData(descriptors []v1.Descriptor) error {
	for _, d := range descriptors {
		if d.Data == nil {
			continue
		}
		if got, n, err := v1.SHA256(bytes.NewReader(d.Data)); err != nil || got != d.Digest || n != d.Size {
			return fmt.Errorf("the inline data of %s has another digest or size", d.Digest)
		}
	}
	return nil
}

// Config returns the configuration of an image. It is an error if tools may read it in
// different ways, if it has another size than the manifest says, or more than 4 MiB.
func Config(img v1.Image) (*v1.ConfigFile, error) {
	manifest, err := img.Manifest()
	if err != nil {
		return nil, err
	}
	if err := checkConfigSize(manifest); err != nil {
		return nil, err
	}
	raw, err := img.RawConfigFile()
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	if int64(len(raw)) != manifest.Config.Size {
		return nil, fmt.Errorf("config: it has %d bytes, the manifest says %d", len(raw), manifest.Config.Size)
	}
	return ParseConfig(raw)
}

// ParseConfig reads a configuration, as [ParseManifest] does a manifest.
func ParseConfig(raw []byte) (*v1.ConfigFile, error) {
	var config *v1.ConfigFile
	err := configShape.decode(raw, &config)
	if err == nil && config == nil {
		err = errors.New("it is null")
	}
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return config, nil
}
