#!/usr/bin/env bash
# From a fresh machine to bundles: installs what is missing, builds, runs the main job on the data that ships inside.
#
#   ./scripts/quickstart.sh [OPTION OF sheaf demo...]
#
# Where nvcc and a GPU are found it builds for that GPU, else for the CPU. SHEAF_CUDA=ON or OFF decides instead.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

./scripts/setup.sh

nvcc=$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null || true)
capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1 | tr -d '. ' || true)
preset=cpu options=()
if [[ ${SHEAF_CUDA:-AUTO} == ON || (${SHEAF_CUDA:-AUTO} == AUTO && -n $nvcc && $capability =~ ^[0-9]+$) ]]; then
  preset=cuda
  [[ $capability =~ ^[0-9]+$ ]] || capability=90
  [[ $capability == 90 ]] && capability=90a
  options=(-DCMAKE_CUDA_ARCHITECTURES="$capability-real")
elif [[ -n $nvcc ]]; then
  echo "quickstart: nvcc is there, a GPU is not: building for the CPU (SHEAF_CUDA=ON builds for both)"
fi

# The generator keeps what is built: a second call compiles nothing.
echo "quickstart: building, preset $preset"
cmake --preset "$preset" -DSHEAF_TESTS=OFF -DSHEAF_BENCH=OFF "${options[@]}" >/dev/null
cmake --build --preset "$preset" --target sheaf
exec "build/$preset/bin/sheaf" demo "$@"
