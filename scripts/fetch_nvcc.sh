#!/usr/bin/env bash
# Fetches nvcc and the headers that Sheaf needs into build/cuda-toolkit (270 MB, no driver, no system change) and prints
# nvcc's path. For machines that compile the CUDA sources without a CUDA toolkit; test.sh calls it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=13.0
folder=build/cuda-toolkit
toolkit=$PWD/$folder/nvidia/cu13
nvcc=$toolkit/bin/nvcc
if [[ ! -x $nvcc || ! -e $toolkit/include/nvtx3/nvToolsExt.h ]]; then
  rm -rf "$folder.partial"
  mkdir -p build
  packages=()
  for name in nvidia-cuda-nvcc nvidia-cuda-crt nvidia-nvvm nvidia-cuda-runtime nvidia-cuda-cccl nvidia-nvtx; do packages+=("$name==$version.*"); done
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps --target "$folder.partial" "${packages[@]}" >&2 || {
    echo "fetch_nvcc: could not fetch ${packages[*]}; install the CUDA toolkit instead, or leave out the part cuda" >&2
    exit 1
  }
  # nvcc.profile links from lib64, and CMake looks for the name without a version; the wheels have neither.
  ln -s lib "$folder.partial/nvidia/cu13/lib64"
  ln -s libcudart.so.13 "$folder.partial/nvidia/cu13/lib/libcudart.so"
  rm -rf "$folder"
  mv "$folder.partial" "$folder"
fi
"$nvcc" --version >/dev/null
echo "$nvcc"
