#!/usr/bin/env bash
# Installs what is missing to build Sheaf, from the distribution's own packages.
#
#   ./scripts/setup.sh          what the program needs
#   ./scripts/setup.sh tests    and what the tests need
#   ./scripts/setup.sh tidy     and clang-tidy
#
# Debian 12, Ubuntu 24.04 and their kin; as root, or with sudo. Running it again does nothing. quickstart.sh and test.sh
# call it.
set -euo pipefail

program_packages=(g++ cmake ninja-build git ca-certificates python3-minimal libfmt-dev libcli11-dev libtomlplusplus-dev nlohmann-json3-dev
  libfast-float-dev zlib1g-dev libzip-dev libzstd-dev liblzma-dev libssl-dev libopenblas-dev)
test_packages=(ccache libgtest-dev libbenchmark-dev libboost-context-dev clang-format-14 python3-pip)

packages=("${program_packages[@]}")
case ${1:-program} in
  program) ;;
  tests) packages+=("${test_packages[@]}") ;;
  tidy) packages+=("${test_packages[@]}" clang-tidy) ;;
  *) echo "setup: unknown word '$1'; say nothing, tests or tidy" >&2; exit 2 ;;
esac

is_installed() { [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  echo "setup: this system has no apt; install by hand what these Debian packages hold: ${packages[*]}" >&2
  exit 1
fi
missing=()
for package in "${packages[@]}"; do is_installed "$package" || missing+=("$package"); done
((${#missing[@]})) || exit 0

as_root=()
if ((EUID != 0)); then
  command -v sudo >/dev/null || {
    echo "setup: these packages are missing: ${missing[*]}" >&2
    echo "  run this as root, or install sudo, or install them by hand" >&2
    exit 1
  }
  as_root=(sudo)
fi
echo "setup: installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0 "$@" >"$log" 2>&1; }
if ! apt update || ! apt install -y --no-install-recommends "${missing[@]}"; then
  tail -n 15 "$log" >&2
  echo "setup: could not install ${missing[*]}" >&2
  echo "  is the network there, and does /etc/apt name a mirror? Debian 12 and Ubuntu 24.04 (with universe) have all of them" >&2
  exit 1
fi
