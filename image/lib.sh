# shellcheck shell=bash
# What the scripts of the image have in common. Sourced by each; a step is run by image/build, and may be run alone.
set -euo pipefail
shopt -s inherit_errexit
export LC_ALL=C TZ=UTC
umask 022
PATH=$PATH:/usr/sbin:/sbin # Debian keeps mkfs, sfdisk and depmod there, out of a user's path

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${DMX_IMAGE_CACHE:-${CARGO_TARGET_DIR:-$repository/target}/image-cache}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)

# Every time in the image is the last commit's, so that the same commit makes the same image.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$repository" log -1 --format=%ct)}
export SOURCE_DATE_EPOCH

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$repository/Cargo.toml" | head -n 1)
suite=trixie

say() { echo "image: $*" >&2; }
fail() {
	say "$*"
	exit 1
}
# Standard input as 12 characters, to name what is made from it.
key() { sha256sum | cut -c 1-12; }
# The lines of a list in image/lists, without its comments.
list() { sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$repository/image/lists/$1"; }

# The Debian mirror: the one that this machine uses, else mmdebstrap's default. A snapshot named here makes an old
# image again.
mirror=${DMX_IMAGE_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -n 1)}
security_mirror=${DMX_IMAGE_SECURITY_MIRROR:-${mirror%/}-security}
# sources_list COMPONENTS ARCHITECTURES: for mmdebstrap and apt.
sources_list() {
	local options="[arch=$2 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
	[ -n "$mirror" ] || fail "apt knows no Debian mirror; name one in DMX_IMAGE_MIRROR"
	echo "deb $options $mirror $suite $1"
	echo "deb $options $mirror $suite-updates $1"
	echo "deb $options $security_mirror $suite-security $1"
	echo "deb $options $mirror $suite-backports $1"
}

# install_programs PROGRAM=PACKAGE…: installs the packages of missing programs.
install_programs() {
	local pair missing=()
	for pair in "$@"; do
		command -v "${pair%%=*}" >/dev/null || [ -e "${pair%%=*}" ] || missing+=("${pair#*=}")
	done
	[ "${#missing[@]}" -gt 0 ] || return 0
	say "installing ${missing[*]}"
	apt-get -qq update >&2
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}
