#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Judges folders of this machine as the one layer of an image, at the paths that they have here, and prints the report
# as JSON: folder.sh CUDABUILD FOLDER... . A Python environment with PyTorch takes as much room in TMPDIR as it has.
# It ends as "cudabuild verify" does: 0 if nothing is wrong, 1 for findings that fail, 3 if something could not be judged.
set -euo pipefail
[ $# -ge 2 ] || { echo "usage: $0 CUDABUILD FOLDER..." >&2; exit 2; }
cudabuild=$1
shift
layout=$(mktemp -d)
trap 'rm -rf "$layout"' EXIT
blobs=$layout/blobs/sha256
mkdir -p "$blobs"

# blob TYPE moves standard input among the blobs and prints its descriptor, and its digest in $layout/digest.
blob() {
  local digest
  digest=$(tee "$layout/new" | sha256sum | cut -d' ' -f1)
  mv "$layout/new" "$blobs/$digest"
  echo "sha256:$digest" >"$layout/digest"
  printf '{"mediaType":"%s","digest":"sha256:%s","size":%d}' "$1" "$digest" "$(stat -c %s "$blobs/$digest")"
}

oci=application/vnd.oci.image
layer=$(tar --create --numeric-owner --directory=/ "${@/#\//}" | blob $oci.layer.v1.tar)
config=$(printf '{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["%s"]}}' "$(cat "$layout/digest")" | blob $oci.config.v1+json)
manifest=$(printf '{"schemaVersion":2,"mediaType":"%s","config":%s,"layers":[%s]}' $oci.manifest.v1+json "$config" "$layer" | blob $oci.manifest.v1+json)
printf '{"schemaVersion":2,"manifests":[%s]}' "$manifest" >"$layout/index.json"
echo '{"imageLayoutVersion":"1.0.0"}' >"$layout/oci-layout"
rm "$layout/digest"
"$cudabuild" verify --json --no-cache "oci:$layout"
