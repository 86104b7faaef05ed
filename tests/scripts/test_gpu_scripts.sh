#!/usr/bin/env bash
# gpu_check.sh and profile_nsight.sh on a GPU host made of fakes: what passes, fails, hangs or is missing must show as
# that.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/a host" "$folder/tools" "$folder/elsewhere"
cp "$root/scripts/gpu_check.sh" "$root/scripts/profile_nsight.sh" "$folder/a host"
for name in sheaf test_ops test_engine gpu_plants sheaf_bench; do cp "$root/tests/scripts/fake_gpu_host.sh" "$folder/a host/$name"; done
for name in compute-sanitizer nvidia-smi nsys ncu; do cp "$root/tests/scripts/fake_gpu_host.sh" "$folder/tools/$name"; done
export PATH=$folder/tools:$PATH
unset SHEAF_REQUIRE
cd "$folder/elsewhere"
faults=0
fault() {
  echo "FAULT in $case: $1" >&2
  sed 's/^/    /' "$folder/log" >&2
  faults=$((faults + 1))
}

# check CASE CODE "NAME=VALUE..." ARG...: runs gpu_check with these fakes; its code is checked, its words are in
# $folder/log
check() {
  case=$1
  local code=0 settings
  read -ra settings <<<"$3"
  rm -rf result
  env "${settings[@]}" "$folder/a host/gpu_check.sh" --out result "${@:4}" >"$folder/log" 2>&1 || code=$?
  ((code == $2)) || fault "ended with $code, not $2"
  [[ -s result/summary.json && -s result/summary.md ]] || fault 'wrote no summary'
  python3 -m json.tool result/summary.json >/dev/null || fault 'summary.json is no JSON'
}
shows() { grep -Eq "$1" "$folder/log" || fault "does not show /$1/"; }
part() { grep -Eq "\"part\": \"$1\", \"state\": \"$2\"" result/summary.json || fault "part $1 is not '$2' in summary.json"; }

check 'all green' 0 ''
for name in ops engine memcheck racecheck initcheck synccheck repeat agreement bench; do part "$name" passed; done
part peers 'not available'
shows '^passed, not available: peers$'
shows 'plant caught, 1 tests clean'
shows 'equal bundles: 1 of 1 of the catalog, 1 of 1 users'
grep -q '"device": "Fake GPU"' result/summary.json || fault 'names no device'
grep -q '"revision": "abcdef012345"' result/summary.json || fault 'names no revision'
grep -q '1980 MHz' result/summary.md || fault 'names no clocks'
grep -q 'BagTest.Adds' result/tests.txt || fault 'lists no test'
[[ -s result/bench.json && -s result/logs/ops.txt ]] || fault 'keeps no benchmark or log'

check 'a test fails' 1 FAKE_TEST_OPS=fail --parts ops,engine
part ops failed; part engine passed; shows 'failed: On/BagTest.Sums/cuda'
check 'no test runs' 1 FAKE_TEST_ENGINE=none --parts ops,engine
part engine failed; shows 'test_engine ran no test'
check 'a plant is missed' 1 FAKE_COMPUTE_SANITIZER=miss:racecheck --parts memcheck,racecheck
part memcheck passed; part racecheck failed; shows 'the planted bug was not reported'
check 'a clean program is reported' 1 FAKE_COMPUTE_SANITIZER=always:initcheck --parts initcheck,synccheck
part initcheck failed; part synccheck passed
check 'the tests fail under a sanitizer' 1 FAKE_TEST_OPS=fail --parts synccheck
part synccheck failed
check 'the sanitizer refuses the device' 0 FAKE_COMPUTE_SANITIZER=refuse --parts ops,memcheck
part memcheck 'not available'; shows '^passed, not available: memcheck$'
check 'the sanitizer is required' 1 'FAKE_COMPUTE_SANITIZER=refuse SHEAF_REQUIRE=sanitizer' --parts ops,memcheck
shows '^failed: memcheck$'
check 'a part hangs' 1 FAKE_TEST_OPS=hang --parts ops,engine --limit 5
part ops 'timed out'; part engine 'no time'
check 'two runs differ' 1 FAKE_SHEAF=unsteady --parts repeat
part repeat failed; shows 'users.csv'
check 'worse metrics on the GPU' 1 FAKE_SHEAF=worse --parts agreement
part agreement failed; shows 'recall: 0.25 became 0.2601'
check 'a count differs on the GPU' 1 FAKE_SHEAF=lost --parts agreement
part agreement failed; shows 'users: 322 became 321'
check 'other bundles on the GPU' 1 FAKE_SHEAF=differ --parts agreement
part agreement failed; shows 'equal bundles: 0 of 1'
check 'a wrong result in the benchmarks' 1 FAKE_SHEAF_BENCH=fail --parts bench
part bench failed; shows '1 of 2 benchmarks: adam/n:3 WRONG: 1 is not 2'
check 'a benchmark throws' 1 FAKE_SHEAF_BENCH=throw --parts bench
part bench failed; shows '^bench .*1 of 3 benchmarks: adam/n:3 failed: out of device memory'; shows '^failed: bench$'
[[ -s result/bench.json ]] || fault 'keeps no result of the benchmarks that did not fail'
check 'the device fails in the benchmarks' 1 FAKE_SHEAF_BENCH=lost --parts bench
part bench failed; shows 'sheaf_bench: cudaMalloc: out of memory'; shows '^failed: bench$'
check 'no GPU' 4 FAKE_NO_DEVICE=1
for name in ops engine memcheck repeat agreement bench; do part "$name" 'no device'; done
shows 'finds no CUDA device'
mv "$folder/a host/gpu_plants" "$folder/gpu_plants"
check 'a program is missing' 1 '' --parts memcheck
part memcheck failed; shows 'no such program'
mv "$folder/gpu_plants" "$folder/a host/gpu_plants"

case='Ctrl-C'
rm -rf result
FAKE_TEST_ENGINE=hang "$folder/a host/gpu_check.sh" --out result --parts ops,engine,repeat >"$folder/log" 2>&1 &
for ((i = 0; i < 100; ++i)); do grep -q 'engine \.\.\.' "$folder/log" && break; sleep 0.1; done
sleep 0.3
since=$SECONDS
kill -TERM $!
code=0; wait $! || code=$?
((SECONDS - since < 30)) || fault 'waited for the part that hangs'
((code == 5)) || fault "ended with $code, not 5"
part ops passed; part engine interrupted; part repeat 'not run'

# A packed folder: bin/ and run, the script in extra/, another working directory.
mkdir -p "$folder/packed/bin" "$folder/packed/extra"
mv "$folder/a host/"{sheaf,test_ops,test_engine,gpu_plants,sheaf_bench} "$folder/packed/bin"
cp "$root/scripts/gpu_check.sh" "$folder/packed/extra"
# shellcheck disable=SC2016
printf '#!/bin/sh\nprogram=$1; shift\nexec "$(dirname "$0")/bin/$program" "$@"\n' >"$folder/packed/run"
chmod +x "$folder/packed/run"
code=0; case=packed
"$folder/packed/extra/gpu_check.sh" --out result --parts ops,memcheck,repeat >"$folder/log" 2>&1 || code=$?
((code == 0)) || fault "ended with $code"

# profile CASE CODE PATTERN "NAME=VALUE..." ARG...
profile() {
  case=$1
  local code=0 settings
  read -ra settings <<<"$4"
  env "${settings[@]}" "$folder/a host/profile_nsight.sh" --programs "$folder/packed" --out reports "${@:5}" >"$folder/log" 2>&1 || code=$?
  ((code == $2)) || fault "ended with $code, not $2"
  shows "$3"
}
profile 'nsys of a benchmark' 0 'reports/bench-bag-.*nsys-rep' '' nsys bench '^bag/'
profile 'ncu of a phase' 0 'reports/sheaf-devices-.*ncu-rep' '' --range train --kernel bag ncu sheaf devices
profile 'counters are forbidden' 7 'NVreg_RestrictProfilingToAdminUsers=0' FAKE_NCU=forbidden ncu sheaf devices
profile 'the program fails' 4 'no CUDA device' FAKE_NO_DEVICE=1 nsys sheaf devices
profile 'an unknown tool' 2 "unknown tool 'nvprof'" '' nvprof sheaf devices
profile 'nothing to run' 2 'say which tool' '' ncu bench
rm "$folder/tools/ncu"
command -v ncu >/dev/null || profile 'the tool is missing' 6 'install the package nsight-compute' '' ncu sheaf devices

((faults == 0)) || exit 1
echo 'gpu_check.sh and profile_nsight.sh: every case as it should be'
