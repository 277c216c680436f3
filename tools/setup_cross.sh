#!/usr/bin/env bash
# Installs what the emulated-board tests need, where this is a Debian or Ubuntu and we are root: g++ for 64-bit and 32-bit
# ARM, and qemu-user to run what they build. Safe to repeat; elsewhere it says what is missing and ends with 2.
set -euo pipefail

missing=()
command -v aarch64-linux-gnu-g++ >/dev/null || missing+=(g++-aarch64-linux-gnu)
command -v arm-linux-gnueabihf-g++ >/dev/null || missing+=(g++-arm-linux-gnueabihf)
command -v qemu-aarch64 >/dev/null && command -v qemu-arm >/dev/null || missing+=(qemu-user)
command -v cmake >/dev/null || missing+=(cmake)
if [ ${#missing[@]} -eq 0 ]; then echo "setup_cross: all there" >&2; exit 0; fi

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "setup_cross: missing: ${missing[*]}; expected Debian or Ubuntu and root; install them with your system's own tool" >&2
    exit 2
fi
install() { DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null; }
# The list of packages may be old, or not there at all.
install 2>/dev/null || { apt-get update -qq && install; } || {
    echo "setup_cross: error: apt-get could not install ${missing[*]}; run it by hand" >&2
    exit 1
}
echo "setup_cross: installed ${missing[*]}" >&2
