// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	memory "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cudabuild/cudabuild/evidence"
	"github.com/cudabuild/cudabuild/internal/registrytest"
	"github.com/cudabuild/cudabuild/internal/require"
	"github.com/cudabuild/cudabuild/referrer"
	"github.com/cudabuild/cudabuild/registry"
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
	host := registrytest.Start(t, nil).Host
	withAPI := registrytest.Serve(t, memory.New(memory.Logger(log.New(io.Discard, "", 0)), memory.WithReferrersSupport(true))).Host //nolint:forbidigo // the logger it wants
	for kind, test := range map[string]struct {
		keys []string
		more string // what cosign must be told besides
	}{
		"cosign":  {cosigns, ""},
		"p256":    {openssl("EC -pkeyopt ec_paramgen_curve:P-256"), ""},
		"p384":    {openssl("EC -pkeyopt ec_paramgen_curve:P-384"), " --signature-digest-algorithm sha384"},
		"ed25519": {openssl("ED25519"), ""},
		"rsa":     {openssl("RSA -pkeyopt rsa_keygen_bits:3072"), ""},
	} {
		t.Run(kind, func(t *testing.T) {
			k := newKeys(t, test.keys)
			k.more = test.more
			k.verifies(t, newSigned(t, host+"/"+kind+"/cuda:12.4-runtime-debian13"))
			testCosignRefuses(t, k, host+"/"+kind)
			if kind != "ed25519" { // cosign signs with Ed25519ph, verifies Ed25519, and refuses its own
				testCosignSigns(t, k, host+"/"+kind)
			}
		})
	}
	t.Run("index", func(t *testing.T) {
		k := newKeys(t, openssl("EC -pkeyopt ec_paramgen_curve:P-256"))
		testCosignIndex(t, k, host+"/index")
		testCosignIndex(t, k, withAPI+"/index")
	})
}

// keys is a folder with a pair of keys.
type keys struct {
	dir, more string
	key       *sign.Key
}

// password is that of keys that cosign makes.
const password = "secret"

// cosigns makes a pair as cosign does.
var cosigns = []string{"cosign generate-key-pair --output-key-prefix release"}

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

// cosign runs a command line of the docs on ref.
func (k keys) cosign(t *testing.T, line, ref string) result {
	return k.sh(t, strings.Replace(line, documented, ref, 1)+k.more)
}

// statements are one for each line of the docs.
func statements(digest v1.Hash) [][]byte {
	var all [][]byte
	for _, kind := range evidence.Kinds() {
		d := evidence.Document{Kind: kind, Subject: evidence.Subject{Name: "cuda", Digest: digest.String()}, Predicate: json.RawMessage("{}")}
		all = append(all, d.Statement())
	}
	return all
}

// signed is an image in a registry, and what is attached to it.
type signed struct {
	ref       string
	desc      v1.Descriptor
	referrers *referrer.Repository
}

func newSigned(t *testing.T, ref string) signed {
	image, err := random.Image(1024, 1)
	if err != nil {
		t.Fatal(err)
	}
	return push(t, ref, image)
}

// pushable is an image or an index.
type pushable interface {
	remote.Taggable
	partial.Describable
}

func push(t *testing.T, ref string, image pushable) signed {
	tag, err := name.NewTag(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Push(tag, image); err != nil {
		t.Fatal(err)
	}
	desc, err := partial.Descriptor(image)
	if err != nil {
		t.Fatal(err)
	}
	client, err := registry.New(t.Context(), tag.Repository, registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	referrers, err := referrer.Open(tag.Repository, client)
	if err != nil {
		t.Fatal(err)
	}
	return signed{ref, *desc, referrers}
}

// attach attaches a bundle of a statement.
func (s signed) attach(t *testing.T, bundle, statement []byte) {
	a := referrer.Artifact{Type: sign.BundleType, MediaType: sign.BundleType, Data: bundle, Annotations: sign.BundleAnnotations(statement)}
	if _, _, err := s.referrers.Attach(t.Context(), s.desc, a); err != nil {
		t.Fatal(err)
	}
}

func (k keys) bundle(t *testing.T, statement []byte) []byte {
	bundle, err := k.key.Bundle(statement)
	if err != nil {
		t.Fatal(err)
	}
	return bundle
}

// verifies: each command line of the docs passes once its statement is there.
func (k keys) verifies(t *testing.T, image signed) {
	for _, statement := range statements(image.desc.Digest) {
		image.attach(t, k.bundle(t, statement), statement)
	}
	for _, line := range lines(t, "cosign verify") {
		if r := k.cosign(t, line, image.ref); r.code != 0 {
			t.Errorf("%s of %s: exit %d\n%s%s", line, image.ref, r.code, r.stdout, r.stderr)
		}
	}
}

// testCosignIndex: they pass for an index and for the image of each platform in it.
func testCosignIndex(t *testing.T, k keys, repo string) {
	index, err := random.Index(1024, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	all := push(t, repo+"/cuda:12.4-runtime-debian13", index)
	k.verifies(t, all)
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, desc := range manifest.Manifests {
		k.verifies(t, signed{repo + "/cuda@" + desc.Digest.String(), desc, all.referrers})
	}
}

// testCosignRefuses: no command line of the docs passes where something is not as it was signed.
func testCosignRefuses(t *testing.T, k keys, repo string) {
	wrong := newKeys(t, openssl("EC -pkeyopt ec_paramgen_curve:P-256"))
	foreign := statements(newSigned(t, repo+"/cuda:other").desc.Digest)
	const unsigned = "accepted signatures do not match threshold, Found: 0"
	for name, test := range map[string]struct {
		bundle func(i int, own []byte) []byte
		want   string
	}{
		"wrong-key": {func(_ int, own []byte) []byte { return wrong.bundle(t, own) }, unsigned},
		"changed-payload": {func(_ int, own []byte) []byte {
			changed := bytes.Replace(own, []byte(`"predicate":{`), []byte(`"predicate":{"more":true`), 1)
			return bytes.Replace(k.bundle(t, own), encoded(own), encoded(changed), 1)
		}, unsigned},
		"of-another-image": {func(i int, _ []byte) []byte { return k.bundle(t, foreign[i]) }, "artifact digest does not match any digest in statement"},
	} {
		image := newSigned(t, repo+"/cuda:"+name)
		for i, own := range statements(image.desc.Digest) {
			image.attach(t, test.bundle(i, own), own)
		}
		for _, line := range lines(t, "cosign verify") {
			if r := k.cosign(t, line, image.ref); r.code == 0 || !strings.Contains(r.stderr, test.want) {
				t.Errorf("%s: %s: exit %d, want 1 and %q\n%s", name, line, r.code, test.want, r.stderr)
			}
		}
	}
}

func encoded(data []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(data)) }

// testCosignSigns: we find and open what cosign has signed, and what it writes around a bundle is what we write.
func testCosignSigns(t *testing.T, k keys, repo string) {
	image := newSigned(t, repo+"/cuda:theirs")
	ref := repo + "/cuda@" + image.desc.Digest.String()
	for _, command := range []string{
		"cp release.key cosign.key; grep -q ENCRYPTED cosign.key || cosign import-key-pair --yes --key release.key --output-key-prefix cosign",
		"cosign sign --key cosign.key --tlog-upload=false --use-signing-config=false " + ref,
		"echo '{}' | cosign attest --type spdxjson --predicate - --key cosign.key --tlog-upload=false --use-signing-config=false " + ref,
		"cosign verify --key release.pub --insecure-ignore-tlog=true" + k.more + " " + ref,
	} {
		if r := k.sh(t, command); r.code != 0 {
			t.Fatalf("%s: exit %d\n%s%s", command, r.code, r.stdout, r.stderr)
		}
	}
	all, err := image.referrers.List(t.Context(), image.desc.Digest)
	if err != nil || len(all) != 2 {
		t.Fatalf("referrers: %+v, %v, want two", all, err)
	}
	for _, found := range all {
		a, err := image.referrers.Read(t.Context(), found)
		if err != nil {
			t.Fatal(err)
		}
		statement, err := k.key.Public().Open(a.Data)
		if err != nil || !bytes.Contains(statement, []byte(image.desc.Digest.Hex)) {
			t.Errorf("Open() = %s, %v\n%s", statement, err, a.Data)
		}
		if read, err := sign.Read(a.Data); read.Hint != k.key.Public().Hint() {
			t.Errorf("Read(): hint %q, %v, want %q", read.Hint, err, k.key.Public().Hint())
		}
		created := "org.opencontainers.image.created"
		want := sign.BundleAnnotations(statement)
		want[created] = a.Annotations[created]
		if diff := cmp.Diff(want, a.Annotations); diff != "" || a.Type != sign.BundleType || a.MediaType != sign.BundleType {
			t.Errorf("artifact of type %s, layer %s, annotations (-ours +cosign's):\n%s", a.Type, a.MediaType, diff)
		}
	}
}

// testSignedPush: what the push of docs/evidence.md signs is verified by its command lines, where it was
// copied to, too, and by no other key.
func testSignedPush(t *testing.T, f fixture, to string) {
	if _, err := exec.LookPath("cosign"); err != nil {
		require.Missing(t, "cosign", err)
	}
	k, other := newKeys(t, cosigns), newKeys(t, cosigns)
	push := strings.NewReplacer("COSIGN_PASSWORD=... cudabuild", f.program, "ghcr.io/acme/cuda", to).Replace(lines(t, "COSIGN_PASSWORD=... cudabuild push")[0])
	if r := k.sh(t, fmt.Sprintf("%s --quiet -f %s --out %s --only '12.4-*'", push, f.matrix, f.out)); r.code != 0 {
		t.Fatalf("%s: exit %d\n%s%s", push, r.code, r.stdout, r.stderr)
	}
	ref, copied := to+":"+cells[1], to+"-copied:"+cells[1]
	if r := run(t, f.program, "copy", ref, copied); r.code != 0 {
		t.Fatalf("copy: exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	for _, line := range lines(t, "cosign verify") {
		seen := !strings.Contains(line, "#rows") // nothing ran on a GPU
		for _, ref := range []string{ref, copied} {
			if r := k.cosign(t, line, ref); (r.code == 0) != seen {
				t.Errorf("%s of %s: exit %d\n%s", line, ref, r.code, r.stderr)
			}
		}
		if r := other.cosign(t, line, ref); r.code == 0 {
			t.Errorf("with another key: %s: exit 0\n%s", line, r.stdout)
		}
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
