# Brings mmdebstrap into an image of the distribution, from its own repositories or the mirror
# in their place (recipes/manager/apt.yaml has the form of the settings). It takes what they
# have today: which versions it was is written down with the root.
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
settings=/run/cudabuild/apt.conf
apt=/run/apt
cp -R /etc/apt $apt
mirror=$(sed -n 's/^Cudabuild::Mirror "\(.*\)";$/\1/p' $settings 2>/dev/null || true)
if [ -n "$mirror" ]; then
  case $mirror in *@*) ;; *) mirror=$mirror/@ ;; esac
  before=${mirror%%@*} after=${mirror#*@}
  find $apt -name '*.list' -o -name '*.sources' |
    xargs -r sed -i "s,[a-z]*://[^/ ]*/\([^ ]*[^ /]\),$before\1$after,"
fi
sed -n 's/^Cudabuild::Login "\(.*\)";$/\1/p' $settings >$apt/auth.conf 2>/dev/null || true
cat >/run/apt.conf <<CONF
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Retries "3";
Dir::Etc "$apt";
Dpkg::Use-Pty "false";
DPkg::Options { "--force-unsafe-io"; };
CONF
if grep -q '^Cudabuild::ByDate' $settings 2>/dev/null; then # its lists have expired, which is the point of it
  echo 'Acquire::Check-Valid-Until "false";' >>/run/apt.conf
fi
sed '/^Cudabuild::/d' $settings >>/run/apt.conf 2>/dev/null || true
export APT_CONFIG=/run/apt.conf
apt-get --error-on=any update
apt-get install --yes mmdebstrap debian-archive-keyring
