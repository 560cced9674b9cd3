// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/internal/registrytest"
	"github.com/cudabuild/cudabuild/internal/require"
	"github.com/cudabuild/cudabuild/sign"
)

// documented is the image of docs/evidence.md.
const documented = "ghcr.io/acme/cuda:12.4-runtime-debian13"

// TestCosign: a real cosign verifies what we sign by the command lines of docs/evidence.md, and
// we what it signs, where there is no network but a registry on loopback.
func TestCosign(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("cosign"); err != nil {
		require.Missing(t, "cosign", err)
	}
	if !alone(t) {
		return
	}
	registry := registrytest.Start(t, nil)
	for kind, test := range map[string]struct {
		keys []string
		more string // what cosign must be told besides
	}{
		"cosign":  {[]string{"cosign generate-key-pair --output-key-prefix release"}, ""},
		"p256":    {openssl("EC -pkeyopt ec_paramgen_curve:P-256"), ""},
		"p384":    {openssl("EC -pkeyopt ec_paramgen_curve:P-384"), " --signature-digest-algorithm sha384"},
		"ed25519": {openssl("ED25519"), ""},
		"rsa":     {openssl("RSA -pkeyopt rsa_keygen_bits:3072"), ""},
	} {
		t.Run(kind, func(t *testing.T) {
			k := newKeys(t, test.keys)
			k.more = test.more
			testCosignVerifies(t, k, registry.Host+"/"+kind)
			testCosignRefuses(t, k, registry.Host+"/"+kind)
			if kind != "ed25519" { // cosign signs with Ed25519ph, verifies Ed25519, and refuses its own
				testCosignSigns(t, k, registry.Host+"/"+kind)
			}
		})
	}
}

// keys is a folder with a pair of keys.
type keys struct {
	dir, more string
	key       *sign.Key
}

// password is that of keys that cosign makes.
const password = "secret"

func openssl(algorithm string) []string {
	return []string{"openssl genpkey -algorithm " + algorithm + " -out release.key", "openssl pkey -in release.key -pubout -out release.pub"}
}

func newKeys(t *testing.T, commands []string) keys {
	k := keys{dir: t.TempDir()}
	for _, command := range commands {
		if r := k.sh(t, command); r.code != 0 {
			t.Fatalf("%s: exit %d\n%s%s", command, r.code, r.stdout, r.stderr)
		}
	}
	text, err := os.ReadFile(filepath.Join(k.dir, "release.key"))
	if err != nil {
		t.Fatal(err)
	}
	if k.key, err = sign.Load(text, func() ([]byte, error) { return []byte(password), nil }); err != nil {
		t.Fatal(err)
	}
	return k
}

func (k keys) sh(t *testing.T, command string) result {
	return run(t, "sh", "-c", "cd "+k.dir+" && export HOME=$PWD COSIGN_PASSWORD="+password+" && "+command)
}

// lines are the command lines of docs/evidence.md that begin with these words.
func lines(t *testing.T, begin string) []string {
	text, err := os.ReadFile("../docs/evidence.md")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, begin) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	if len(found) == 0 {
		t.Fatalf("docs/evidence.md has no line that begins with %q", begin)
	}
	return found
}

// verify runs the command lines of the docs on ref and returns how many of them pass.
func (k keys) verify(t *testing.T, ref string) (passed int, said string) {
	for _, line := range lines(t, "cosign verify") {
		command := strings.Replace(line, documented, ref, 1) + k.more
		r := k.sh(t, command)
		if r.code == 0 {
			passed++
		}
		said += fmt.Sprintf("%s: exit %d\n%s", command, r.code, r.stderr)
	}
	return passed, said
}

// statements are one for each line of the docs.
func statements(digest v1.Hash) [][]byte {
	all := [][]byte{sign.ImageStatement("cuda", digest.String())}
	for _, predicate := range []string{
		"https://spdx.dev/Document", "https://slsa.dev/provenance/v1", "https://slsa.dev/verification_summary/v1",
		"https://github.com/cudabuild/cudabuild/blob/main/docs/evidence.md#report", "https://github.com/cudabuild/cudabuild/blob/main/docs/evidence.md#rows",
	} {
		all = append(all, fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"cuda","digest":{"sha256":%q}}],"predicateType":%q,"predicate":{}}`, digest.Hex, predicate))
	}
	return all
}

// signed is an image in a registry.
type signed struct {
	tag  name.Tag
	desc v1.Descriptor
}

func newSigned(t *testing.T, ref string) signed {
	tag, err := name.NewTag(ref)
	if err != nil {
		t.Fatal(err)
	}
	image, err := random.Image(1024, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, image); err != nil {
		t.Fatal(err)
	}
	desc, err := partial.Descriptor(image)
	if err != nil {
		t.Fatal(err)
	}
	return signed{tag, *desc}
}

// attach puts a bundle of a statement at the image.
func (s signed) attach(t *testing.T, bundle, statement []byte) {
	layer, config := static.NewLayer(bundle, sign.BundleType), static.NewLayer([]byte("{}"), "application/vnd.oci.empty.v1+json")
	m := manifest{v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: sign.BundleType,
		Subject: &s.desc, Annotations: sign.BundleAnnotations(statement),
	}}
	for _, l := range []v1.Layer{config, layer} {
		if err := remote.WriteLayer(s.tag.Repository, l); err != nil {
			t.Fatal(err)
		}
		desc, err := partial.Descriptor(l)
		if err != nil {
			t.Fatal(err)
		}
		if l == config {
			m.Config = *desc
		} else {
			m.Layers = []v1.Descriptor{*desc}
		}
	}
	raw, err := m.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	digest, _, err := v1.SHA256(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Put(s.tag.Digest(digest.String()), m); err != nil {
		t.Fatal(err)
	}
}

type manifest struct{ v1.Manifest }

func (m manifest) RawManifest() ([]byte, error)        { return json.Marshal(m.Manifest) }
func (m manifest) MediaType() (types.MediaType, error) { return m.Manifest.MediaType, nil }

func (k keys) bundle(t *testing.T, statement []byte) []byte {
	bundle, err := k.key.Bundle(statement)
	if err != nil {
		t.Fatal(err)
	}
	return bundle
}

// testCosignVerifies: each command line of the docs passes once its statement is there.
func testCosignVerifies(t *testing.T, k keys, repo string) {
	image := newSigned(t, repo+"/cuda:12.4-runtime-debian13")
	all := statements(image.desc.Digest)
	for _, statement := range all {
		image.attach(t, k.bundle(t, statement), statement)
	}
	if passed, said := k.verify(t, image.tag.String()); passed != len(all) {
		t.Errorf("%d pass, want %d:\n%s", passed, len(all), said)
	}
}

// testCosignRefuses: no command line of the docs passes where something is not as it was signed.
func testCosignRefuses(t *testing.T, k keys, repo string) {
	wrong := newKeys(t, openssl("EC -pkeyopt ec_paramgen_curve:P-256"))
	foreign := statements(newSigned(t, repo+"/cuda:other").desc.Digest)
	for name, bundle := range map[string]func(i int, own []byte) []byte{
		"nothing":   nil,
		"wrong-key": func(_ int, own []byte) []byte { return wrong.bundle(t, own) },
		"changed-payload": func(_ int, own []byte) []byte {
			changed := bytes.Replace(own, []byte(`"predicate":{`), []byte(`"predicate":{"more":true`), 1)
			return bytes.Replace(k.bundle(t, own), encoded(own), encoded(changed), 1)
		},
		"of-another-image": func(i int, _ []byte) []byte { return k.bundle(t, foreign[i]) },
	} {
		image := newSigned(t, repo+"/cuda:"+name)
		for i, own := range statements(image.desc.Digest) {
			if bundle != nil {
				image.attach(t, bundle(i, own), own)
			}
		}
		if passed, said := k.verify(t, image.tag.String()); passed != 0 {
			t.Errorf("%s: %d pass, want none:\n%s", name, passed, said)
		}
	}
}

func encoded(data []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(data)) }

// testCosignSigns: we open what cosign has signed.
func testCosignSigns(t *testing.T, k keys, repo string) {
	image := newSigned(t, repo+"/theirs:1")
	ref := image.tag.Repository.Digest(image.desc.Digest.String()).String()
	key := "release.key"
	if text, err := os.ReadFile(filepath.Join(k.dir, key)); err == nil && !bytes.Contains(text, []byte("ENCRYPTED")) {
		key = "import.key"
		if r := k.sh(t, "cosign import-key-pair --key release.key --output-key-prefix import"); r.code != 0 {
			t.Fatalf("import-key-pair: exit %d\n%s%s", r.code, r.stdout, r.stderr)
		}
	}
	offline := " --key " + key + " --tlog-upload=false --use-signing-config=false --bundle "
	for bundle, command := range map[string]string{
		"sign.json":   "cosign sign" + offline + "sign.json " + ref,
		"attest.json": "echo '{}' | cosign attest --type https://slsa.dev/verification_summary/v1 --predicate -" + offline + "attest.json " + ref,
	} {
		if r := k.sh(t, command); r.code != 0 {
			t.Errorf("%s: exit %d\n%s%s", command, r.code, r.stdout, r.stderr)
			continue
		}
		data, err := os.ReadFile(filepath.Join(k.dir, bundle))
		if err != nil {
			t.Fatal(err)
		}
		statement, err := k.key.Public().Open(data)
		if err != nil || !bytes.Contains(statement, []byte(image.desc.Digest.Hex)) {
			t.Errorf("Open(%s) = %s, %v\n%s", bundle, statement, err, data)
		}
		if _, hint, err := sign.Payload(data); hint != k.key.Public().Hint() {
			t.Errorf("Payload(%s): hint %q, %v, want %q", bundle, hint, err, k.key.Public().Hint())
		}
	}
	if r := k.sh(t, "cosign verify --key release.pub --insecure-ignore-tlog=true"+k.more+" "+ref); r.code != 0 {
		t.Errorf("cosign's own: exit %d\n%s", r.code, r.stderr)
	}
}

// alone reports whether the test has a network of its own, with nothing but loopback. If not, it
// runs the test in one.
func alone(t *testing.T) bool {
	const inside = "CUDABUILD_TEST_ALONE"
	if os.Getenv(inside) != "" {
		if _, err := net.Dial("tcp", "192.0.2.1:443"); !errors.Is(err, syscall.ENETUNREACH) {
			t.Fatalf("an address of the internet: %v, want %v", err, syscall.ENETUNREACH)
		}
		return true
	}
	if os.Geteuid() != 0 {
		require.Missing(t, "root", errors.New("not root"))
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "--net", "--fork", "--kill-child", "sh", "-c", `ip link set lo up && exec "$@"`, "sh",
		os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"=1")
	out, err := cmd.CombinedOutput()
	t.Logf("in a network of its own:\n%s", out)
	if err != nil {
		t.Error(err)
	}
	return false
}
