#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Install the locked packages of requirements/<set>.txt and this project into .venv.
# Usage: sh requirements/install.sh PYTHON run|dev
set -eu
python=$1
set_name=$2

if [ ! -x .venv/bin/python ]; then
    echo "Creating .venv"
    if command -v uv >/dev/null 2>&1; then
        uv venv --quiet --python "$python" .venv
    elif ! "$python" -m venv .venv 2>/dev/null; then
        # Debian ships venv without ensurepip; an existing pip can still fill the environment.
        rm -rf .venv
        "$python" -m venv --without-pip .venv
        "$python" -m pip --version >/dev/null 2>&1 || {
            rm -rf .venv
            echo "Python's venv module is not complete here. Install the package python3-venv, or uv." >&2
            exit 1
        }
    fi
fi

echo "Installing the packages of requirements/$set_name.txt"
if command -v uv >/dev/null 2>&1; then
    uv pip install --quiet --python .venv/bin/python --require-hashes -r "requirements/$set_name.txt"
    uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation -e .
elif [ -x .venv/bin/pip ]; then
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "requirements/$set_name.txt"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
else
    "$python" -m pip --python .venv/bin/python install --quiet --require-hashes -r "requirements/$set_name.txt"
    "$python" -m pip --python .venv/bin/python install --quiet --no-deps --no-build-isolation -e .
fi
touch ".venv/.$set_name"
