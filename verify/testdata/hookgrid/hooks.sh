# SPDX-License-Identifier: Apache-2.0
# Does to an unpacked root what nvidia-container-toolkit does at the start of a container, in
# its order; in a mount namespace of its own, for the root must be a mount.
# hooks.sh HOOK ROOT DRIVER FOLDER
set -e
mount --bind "$2" "$2"
state="{\"ociVersion\": \"1.0.0\", \"root\": \"$2\"}"
echo "$state" | "$1" create-symlinks --link "libcuda.so.$3::$4/libcuda.so.1" --link "libcuda.so.1::$4/libcuda.so"
echo "$state" | "$1" enable-cuda-compat --host-driver-version="$3"
echo "$state" | "$1" update-ldcache --folder "$4"
