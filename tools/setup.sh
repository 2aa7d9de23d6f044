#!/usr/bin/env bash
# Make the Python environment .venv/NAME: `tools/setup.sh NAME`, NAME as tools/environment.sh prints it.
# `make` calls it when one of its inputs has changed.
set -euo pipefail
cd "$(dirname "$0")/.."
name=$1
venv=.venv/$name

# The Python of the sourced ROS 2 is python3; for the wheels any supported one will do.
pick_python() {
  local candidates=(python3)
  [[ $name == ros-* ]] || candidates+=(python3.13 python3.12 python3.11 python3.10)
  for python in "${candidates[@]}"; do
    "$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && return
  done
  python=
}

# What is missing of a compiler, headers and the like, as names of Debian packages.
missing_packages() {
  if [[ -z $python ]]; then
    echo python3 python3-dev python3-venv
  else
    local version
    version=$("$python" -c 'import sys; print("python3.%d" % sys.version_info[1])')
    "$python" -c 'import ensurepip, venv' 2>/dev/null || echo "$version-venv"
    "$python" -c 'import os, sysconfig as s; os.stat(s.get_path("include") + "/Python.h")' 2>/dev/null ||
      echo "$version-dev"
  fi
  command -v c++ >/dev/null || echo g++
  [[ $name != ros-* ]] || command -v colcon >/dev/null || echo python3-colcon-common-extensions
}

# The wheels were built elsewhere, and their CMake files name the headers of that machine's Python and NumPy.
# colcon takes a folder with a local_setup for a ROS installation.
mend_wheels() {
  local include numpy
  include=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
  numpy=$("$venv/bin/python" -c 'import numpy; print(numpy.get_include())')
  { grep -rlF --include='*.cmake' /opt/python/ "$venv/share" || true; } | xargs -r sed -i -E \
    -e "s#/opt/python/[^;\"]*/numpy/_?core/include#$numpy#g" \
    -e "s#/opt/python/[^;\"]*/include/python3\.[0-9]+#$include#g"
  echo "# The paths are set by tools/env.sh." >"$venv/local_setup.sh"
}

# The messages of an installed ROS are compiled for its system's NumPy: where that is 1.x, so must ours be.
constraints() {
  if "$python" -c 'import numpy, sys; sys.exit(numpy.__version__ >= "2")' 2>/dev/null; then
    grep -vE '^(numpy|opencv)' constraints.txt
    echo 'numpy<2'
  else
    cat constraints.txt
  fi
}

pick_python
missing=$(missing_packages | xargs)
if [[ -n $missing ]]; then
  [[ -n $python ]] || echo "Python 3.10 to 3.13 was not found, $(python3 --version 2>/dev/null || echo no python3)." >&2
  echo "Missing: $missing. Install with:  sudo apt install $missing" >&2
  exit 1
fi

if [[ ! -e /dev/nvidiactl ]] && [[ ! $("$python" -m pip config list 2>/dev/null) =~ index|find-links ]]; then
  echo "No NVIDIA GPU is here, and the default torch brings several GB of CUDA libraries. To avoid them, stop and name"
  echo "the index of torch's CPU wheels (see 'Get Started' on pytorch.org) in PIP_EXTRA_INDEX_URL."
fi

echo "Installing into $venv (minutes the first time) ..."
pip_install() { "$venv/bin/python" -m pip install -qq --disable-pip-version-check -e '.[dev,text,train]' "$@"; }
if [[ $name == ros-* ]]; then
  [[ -x $venv/bin/python ]] || "$python" -m venv --system-site-packages "$venv"
  constraints > "$venv/constraints.txt"
  pip_install -c "$venv/constraints.txt"
else
  [[ -x $venv/bin/python ]] || "$python" -m venv "$venv"
  pip_install -c constraints.txt -r "tools/wheels/$name.txt"
  mend_wheels
fi
