# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What script/demo and script/test share; sourced by them, from bash.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Packages of Debian 12 and 13 that build and test everything.
packages=(
  gcc clang make autoconf automake pkg-config libc6-dev
  libmilter-dev libevent-dev libc-ares-dev libhiredis-dev libssl-dev libconfig-dev libpcre2-dev libpsl-dev libsqlite3-dev libsystemd-dev zlib1g-dev
  libcmocka-dev python3-pytest python3-dkim python3-dnspython
  postfix opendkim opendkim-tools nsd redis-server redis-sentinel redis-tools systemd-journal-remote faketime openssl iproute2 mandoc
)

if [ -t 1 ]; then
  bold=$(printf '\033[1m') plain=$(printf '\033[0m')
else
  bold='' plain=''
fi

# Valkey where this Debian has it.
valkey_packages() {
  local name
  for name in valkey-server valkey-sentinel valkey-tools; do
    apt-cache show "$name" >/dev/null 2>&1 && echo "$name"
  done
}

# say TEXT: a step begins
say() {
  printf '%s==> %s%s\n' "$bold" "$*" "$plain"
}

die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# need_packages NAME...: install those that are missing.  Never removes a
# package, and never configures a mail system: Postfix is installed without one.
need_packages() {
  local name missing=()
  command -v dpkg-query >/dev/null || die "this needs Debian: no dpkg-query here"
  for name; do
    dpkg-query -W -f '${Status}\n' "$name" 2>/dev/null | grep -q '^install ok installed' ||
      missing+=("$name")
  done
  [ "${#missing[@]}" -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] ||
    die "missing packages; as root: apt-get install ${missing[*]}"
  say "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  if [[ " ${missing[*]} " == *' postfix '* ]]; then
    echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections ||
      die "debconf-set-selections failed"
  fi
  local log
  log=$(mktemp)
  if ! { apt-get -q update && apt-get -qy --no-install-recommends --no-remove install "${missing[@]}"; } \
      >"$log" 2>&1 </dev/null; then
    tail -n 30 "$log" >&2
    rm -f "$log"
    die "could not install ${missing[*]}"
  fi
  rm -f "$log"
}

# build DIR ARGUMENT...: configure with the arguments and make, outside of the
# source tree; a tree that somebody configured in place is copied first.
build() {
  local dir=$1 source=$top
  shift
  mkdir -p "$dir" && dir=$(cd "$dir" && pwd) || die "cannot make $dir"
  if [ -e "$top/config.status" ]; then
    source=$dir/source
    rm -rf "$source" && mkdir "$source" &&
      tar -C "$top" --exclude=./.git --exclude=./build --exclude='./build-[!a]*' -cf - . | tar -C "$source" -xf - &&
      make -s -C "$source" distclean >/dev/null || die "cannot copy the sources to $source"
  fi
  # configure makes configure again by itself when configure.ac has changed
  if [ ! -x "$source/configure" ]; then
    quietly "$dir/autoreconf.log" autoreconf -fi "$source"
  fi
  (
    cd "$dir" || exit
    if [ ! -e config.status ] || [ "$(cat configured-with 2>/dev/null)" != "$source $*" ]; then
      quietly "$dir/configure.log" "$source/configure" "$@"
      echo "$source $*" >configured-with
    fi
    quietly "$dir/make.log" make -j"$(nproc)"
  ) || exit
}

# quietly LOG COMMAND...: its output is shown when it fails
quietly() {
  local log=$1
  shift
  "$@" >"$log" 2>&1 || { tail -n 40 "$log" >&2; die "$1 failed (all of it: $log)"; }
}
