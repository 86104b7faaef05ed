#!/usr/bin/env bash
# Fuzzes the readers of files for long, in three passes for each target:
#   led      one in ten of EXECUTIONS, led by the code that an input reaches; what reaches new code is kept in
#            build/fuzz/found
#   fast     EXECUTIONS inputs, optimised, with the assertions of the standard library: mutations of all that was found
#   checked  one in a hundred under AddressSanitizer and UndefinedBehaviorSanitizer, which are some fifty times slower
# Prints the executions of each target. An input that ends in a fault stays in build/fuzz.
#
#   ./scripts/fuzz.sh [EXECUTIONS [TARGET...]]    of each target (10,000,000 if it is not given); all targets
#   SEED=2 ./scripts/fuzz.sh                      other inputs
#   build/fuzz/checked/bin/fuzz_csv build/fuzz/fuzz_csv.input      one input again
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
build() {
  cmake --preset "$2" -B "build/fuzz/$1" -DSHEAF_TESTS=ON -DSHEAF_BENCH=OFF -DSHEAF_FEWER_COMPILATIONS=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo \
    -DCMAKE_CXX_FLAGS_RELWITHDEBINFO="$3 -g1" >/dev/null
  cmake --build "build/fuzz/$1" --target "${targets[@]}"
}
build led cpu "-O2 -D_GLIBCXX_ASSERTIONS -fsanitize-coverage=trace-pc"
build fast cpu "-O2 -D_GLIBCXX_ASSERTIONS"
build checked cpu-asan "-O1 -fsanitize-coverage=trace-pc"

export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=0 UBSAN_OPTIONS=print_stacktrace=1
run() {
  local pass=$1 target=$2 count=$3
  printf '%-22s %-8s' "$target" "$pass"
  "build/fuzz/$pass/bin/$target" "tests/fuzz/corpus/${target#fuzz_}" --executions "$count" --seed "${SEED:-1}" \
    --failed "build/fuzz/$target.input" --found "build/fuzz/found/$target" 2>"build/fuzz/$target.log" || {
    echo "FAULT"
    tail -n 40 "build/fuzz/$target.log"
    return 1
  }
}
status=0
for target in "${targets[@]}"; do
  run led "$target" "$((executions / 10 + 1000))" && run fast "$target" "$executions" &&
    run checked "$target" "$((executions / 100 + 1000))" || status=1
done
exit "$status"
