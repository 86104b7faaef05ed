#!/usr/bin/env bash
# Fuzzes the readers of files for long, under AddressSanitizer and UndefinedBehaviorSanitizer, led by the code that an
# input reaches. Prints the executions of each target. An input that ends in a fault stays in build/fuzz.
#
#   ./scripts/fuzz.sh [EXECUTIONS [TARGET...]]    of each target (10,000,000 if it is not given); all targets
#   SEED=2 ./scripts/fuzz.sh                      other inputs
#   build/fuzz/bin/fuzz_csv build/fuzz/fuzz_csv.input     one input again
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

executions=${1:-10000000}
[[ $executions =~ ^[1-9][0-9]*$ ]] || { echo "fuzz: '$executions' is no number of executions" >&2; exit 2; }
targets=("${@:2}")
if ((${#targets[@]} == 0)); then
  for source in tests/fuzz/fuzz_*.cpp; do targets+=("$(basename "$source" .cpp)"); done
fi
for target in "${targets[@]}"; do
  [[ -f tests/fuzz/$target.cpp ]] || { echo "fuzz: no target '$target' in tests/fuzz" >&2; exit 2; }
done

# The flags of the build type, not of the compiler: the trial programs of CMake have nobody to call.
cmake --preset cpu-asan -B build/fuzz -DSHEAF_TESTS=ON -DSHEAF_BENCH=OFF \
  -DCMAKE_CXX_FLAGS_RELWITHDEBINFO="-O1 -g1 -fsanitize-coverage=trace-pc" >/dev/null
cmake --build build/fuzz --target "${targets[@]}"

export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=0 UBSAN_OPTIONS=print_stacktrace=1
run() {
  printf '%-22s ' "$1"
  "build/fuzz/bin/$1" "tests/fuzz/corpus/${1#fuzz_}" --executions "$executions" --seed "${SEED:-1}" \
    --failed "build/fuzz/$1.input" 2>"build/fuzz/$1.log" || {
    echo "FAULT"
    tail -n 40 "build/fuzz/$1.log"
    return 1
  }
}
status=0
for target in "${targets[@]}"; do run "$target" || status=1; done
exit "$status"
