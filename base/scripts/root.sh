# $@ are the arguments of mmdebstrap but for its sources. They, and what apt is to know, may
# be those of a mirror: only what is in $CUDABUILD_DIR stays. A step cannot mount, which
# mmdebstrap 0.7 takes for an error and later ones see.
while IFS= read -r line; do set -- "$@" "$line"; done </run/cudabuild/sources.list
export CUDABUILD_APT=/run/apt
mkdir -p $CUDABUILD_APT/apt.conf.d
if [ -s /run/cudabuild/apt.conf ]; then
  sed -n 's/^Cudabuild::Login "\(.*\)";$/\1/p' /run/cudabuild/apt.conf >$CUDABUILD_APT/auth.conf
  sed '/^Cudabuild::/d' /run/cudabuild/apt.conf >$CUDABUILD_APT/apt.conf.d/cudabuild
fi
chmod 0700 "$CUDABUILD_DIR" # as here, so that apt has no other user own its folders
mmdebstrap --skip=check/canmount "$@" >"$CUDABUILD_DIR/root.tar"
dpkg-query --show --showformat='${Package} ${Version}\n' mmdebstrap apt dpkg debian-archive-keyring >"$CUDABUILD_DIR/tools"
