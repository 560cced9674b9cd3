#!/bin/sh
# Makes the databases of this folder with rpm itself. Needs rpm 4.16 (Debian 11: rpm,
# file, zstd, sqlite3), the last one that writes Berkeley DB. Debian's writes no NDB.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

spec() { # NAME EPOCH VERSION INSTALL
  cat <<SPEC
Name: $1
Epoch: $2
Version: $3
Release: 1.el9
Summary: test data
License: Apache-2.0
BuildArch: noarch
%define _build_id_links none
%description
test data
%install
$4
%files
/*
SPEC
}

spec nvidia-driver-cuda 3 550.54.15 'mkdir -p %{buildroot}/usr/lib64 %{buildroot}/usr/bin
touch %{buildroot}/usr/lib64/libcuda.so.1 %{buildroot}/usr/bin/tool' >"$work/a.spec"
spec many-files 0 1.0 'mkdir -p %{buildroot}/usr/share/many; cd %{buildroot}/usr/share/many; seq -w 1 3000 | xargs touch' |
  sed /^Epoch/d >"$work/b.spec"
for s in a b; do
  SOURCE_DATE_EPOCH=0 rpmbuild -bb --quiet --define "_topdir $work" --define '_buildhost localhost' "$work/$s.spec"
done

for backend in sqlite bdb; do
  mkdir "$work/$backend"
  rpm --dbpath "$work/$backend" --define "_db_backend $backend" --initdb
  rpm --dbpath "$work/$backend" --define "_db_backend $backend" -i --force-debian --justdb --nodeps --nosignature --nodigest "$work"/RPMS/noarch/*.rpm
done
# What fuzzing starts from must be small: one table, one package, pages of 512 bytes, and so overflow pages.
cp "$work/sqlite/rpmdb.sqlite" "$work/sqlite/small.sqlite"
drop=$(sqlite3 "$work/sqlite/small.sqlite" "SELECT 'DROP TABLE IF EXISTS \"' || name || '\";' FROM sqlite_master
  WHERE type = 'table' AND name NOT IN ('Packages', 'sqlite_sequence')")
sqlite3 "$work/sqlite/small.sqlite" "DELETE FROM Packages WHERE length(blob) > 10000; $drop
  PRAGMA journal_mode = delete; PRAGMA page_size = 512; VACUUM;"
for file in sqlite/rpmdb.sqlite sqlite/small.sqlite bdb/Packages; do
  zstd -q -19 -f "$work/$file" -o "$here/$(basename "$file").zst"
done
ls -l "$here"
