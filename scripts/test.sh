#!/usr/bin/env bash
# Builds and passes all tests. Installs what is missing first.
#
#   ./scripts/test.sh           everything, as the CI does
#   ./scripts/test.sh PART...   some of it: format cpu simt asan tsan cuda docs tidy
#
# simt runs the CUDA sources on the CPU (tests/simt), asan and tsan both backends under sanitizers; cuda compiles with
# nvcc, which is fetched where it is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

parts=("$@")
((${#parts[@]})) || parts=(format cpu simt asan tsan cuda docs)
./scripts/setup.sh tests
jobs=$(nproc)

sources() { git ls-files '*.cpp' '*.hpp' '*.h' '*.cu' '*.cuh'; }
configure() { cmake --preset "$1" -DSHEAF_TESTS=ON -DSHEAF_BENCH=ON "${@:2}" >/dev/null; }
build() { configure "$1" && cmake --build --preset "$1"; }

part_format() { sources | xargs -P "$jobs" -n 32 clang-format-14 --dry-run -Werror; }
part_cpu() { build cpu && ctest --preset cpu -j "$jobs"; }
# The executor's tests, then what they are for: a kernel that none of them has run fails the part.
part_simt() {
  rm -f build/simt/kernels.txt
  build simt && ctest --preset simt -j "$jobs" && ./scripts/kernel_backends.py simt=build/simt/kernels.txt >build/simt/kernel_backends.txt
}
# One build serves both backends' tests: cpu-asan and cpu-tsan are those without the executor.
part_asan() { build simt-asan && ctest --preset simt-asan -j "$jobs"; }
part_tsan() { build simt-tsan && ctest --preset simt-tsan -j "$jobs"; }
part_cuda() {
  local nvcc
  nvcc=$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null || ./scripts/fetch_nvcc.sh)
  configure cuda -DSHEAF_NVCC="$nvcc" -DCMAKE_CUDA_ARCHITECTURES="${SHEAF_CUDA_ARCHITECTURES:-90a-real}"
  # What has kernels in it and what looks at them; the headers and the other tests are those of the part cpu.
  cmake --build --preset cuda --target sheaf sheaf_bench test_ops gpu_plants nvtx_log
  ./scripts/ptxas_table.py --check
  ./scripts/wgmma_scan.py
  ctest --preset cuda -R '^nvtx_ranges$'
}
part_docs() { ./scripts/check_docs.py .; }
part_tidy() {
  ./scripts/setup.sh tidy
  configure cpu
  sources | grep '\.cpp$' | grep -v '^tests/' | xargs -P "$jobs" -n 4 clang-tidy -p build/cpu --quiet
}

for part in "${parts[@]}"; do
  declare -F "part_$part" >/dev/null || { echo "test: no part '$part'; see the head of this script" >&2; exit 2; }
done
start=$SECONDS
for part in "${parts[@]}"; do
  echo "== $part"
  since=$SECONDS
  "part_$part"
  echo "== $part passed in $((SECONDS - since)) s"
done
echo "== all passed in $((SECONDS - start)) s: ${parts[*]}"
