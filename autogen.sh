#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes ./configure out of configure.ac; for a clone, a release has it.
set -e
cd "$(dirname "$0")"
mkdir -p build-aux
exec autoreconf --install --force
