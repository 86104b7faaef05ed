#!/usr/bin/env bash
# Everything that only a GPU can prove, in at most 8 minutes. Needs built programs and the driver; no cmake, network or
# python.
#
#   gpu_check.sh [--out DIR] [--parts LIST] [--limit SECONDS] [--programs DIR]
#
# Parts, in this order; a list is comma-separated:
#   ops engine                              the tests on the GPU, SHEAF_REQUIRE=cuda
#   memcheck racecheck initcheck synccheck  compute-sanitizer: silent on a clean program and the op tests, not on a plant
#   repeat                                  `sheaf demo` twice: the same bytes
#   agreement                               `sheaf demo` on the CPU and on the GPU: the same result within stated bounds
#   bench peers                             sheaf_bench --suite full; the same in PyTorch, where bench/peers and torch are
#
# Programs (sheaf test_ops test_engine gpu_plants sheaf_bench) are taken from --programs, or beside this script, or from
# build/cuda/bin, or from bin/ of a packed folder (started through its file `run`) that holds this script or lies as
# .gpu in the checkout.
# Writes summary.json, summary.md, tests.txt, bench.json, bench.md and logs/ (the end of each
# part's log) to --out, by default bench/results/<device>-<date>. Ctrl-C keeps what was done and writes the summary.
#
# A tool that is missing leaves its part `not available`: shown, and no failure unless SHEAF_REQUIRE (comma-separated)
# holds sanitizer or peers. Exit codes: 0 passed, 1 a part failed or had no time, 2 usage, 4 no GPU, 5 interrupted.
# shellcheck disable=SC2317  # parts are called by their names
set -uo pipefail
export LC_ALL=C

all_parts=(ops engine memcheck racecheck initcheck synccheck repeat agreement bench peers)
# Seconds. Their sum is over the whole's limit, since no machine needs all of every one; the whole's limit cuts the last
# ones.
declare -A limit_of=([ops]=60 [engine]=60 [memcheck]=40 [racecheck]=40 [initcheck]=40 [synccheck]=40 [repeat]=30 [agreement]=30
  [bench]=180 [peers]=60)
# The shapes of the op tests are small but for these two, which take the SIMT executor longer than all others together.
readonly sanitized_tests='*/cuda-*CooccurrenceTest.EqualsBruteForce*:*FullSoftmaxTest.SeveralBlocksOfUsers*'
readonly sanitizer_found=86  # exit code that compute-sanitizer is told to end with
readonly sanitizer_refuses='not supported\|unable to find\|permission'
readonly log_lines=200

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out='' total=460 programs='' parts=("${all_parts[@]}")
usage() { sed -n '2,/^# shellcheck/{/^# shellcheck/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }
wrong_usage() { echo "gpu_check: $1" >&2; exit 2; }
while (($#)); do
  [[ $1 == -h || $1 == --help ]] && { usage; exit 0; }
  (($# > 1)) || wrong_usage "$1 needs a value, or is unknown; --help lists the options"
  case $1 in
    --out) out=$2 ;;
    --parts) IFS=, read -ra parts <<<"$2" ;;
    --limit) total=$2 ;;
    --programs) programs=$(cd "$2" && pwd) || wrong_usage "--programs: no folder $2" ;;
    *) wrong_usage "unknown option $1; --help lists the options" ;;
  esac
  shift 2
done
[[ $total =~ ^[1-9][0-9]*$ ]] || wrong_usage "--limit '$total' is no number of seconds"
for part in "${parts[@]}"; do [[ -n ${limit_of[$part]:-} ]] || wrong_usage "no part '$part'; --help lists them"; done

# --- programs, data ---------------------------------------------------------------------------------------------------
bin='' runner=''
find_programs() {
  local base
  for base in "$programs" "$here" "$here/../build/cuda/bin" "$here/build/cuda/bin"; do
    [[ -n $base && -x $base/sheaf ]] && { bin=$(cd "$base" && pwd); return; }
  done
  for base in "$programs" "$here" "$here/.." "$here/.gpu" "$here/../.gpu" "$here/../.."; do
    [[ -n $base && -x $base/run && -x $base/bin/sheaf ]] && { bin=$(cd "$base/bin" && pwd) runner=$(cd "$base" && pwd)/run; return; }
  done
  wrong_usage "no programs beside $here, in build/cuda/bin or in a packed folder; build the preset cuda, or name them with --programs"
}
find_programs
find_folder() {  # find_folder NAME: of the checkout, or packed along
  local base
  for base in "$here/.." "$here" "$bin/.." "$bin/../extra" "$bin/../../.."; do
    [[ -d $base/$1 ]] && { (cd "$base/$1" && pwd); return; }
  done
}
# program NAME ARG...: sets `command`
program() {
  local name=$1
  shift
  if [[ -n $runner ]]; then command=("$runner" "$name" "$@"); else command=("$bin/$name" "$@"); fi
}
find_tool() {
  local path
  for path in "$(command -v "$1")" "/usr/local/cuda/bin/$1" "/usr/local/cuda/$1/$1"; do [[ -x $path ]] && { echo "$path"; return; }; done
}
datasets=${SHEAF_DATASETS:-$(find_folder datasets)}
[[ -n $datasets ]] && export SHEAF_DATASETS=$datasets
sanitizer=$(find_tool compute-sanitizer)
required() { [[ ,${SHEAF_REQUIRE:-}, == *,$1,* ]]; }

# --- running under limits ---------------------------------------------------------------------------------------------
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
child='' interrupted=0
on_signal() {
  interrupted=1
  [[ -n $child ]] && kill -TERM "$child" 2>/dev/null
}
trap on_signal INT TERM
deadline=$((SECONDS + total)) part_end=0

# run LOG: runs `command` until the part's end, appending to LOG; 124 when it ran past it
run() {
  local left=$((part_end - SECONDS)) status
  ((interrupted)) && return 130
  ((left > 0)) || { echo "gpu_check: no time left for: ${command[*]}" >>"$1"; return 124; }
  echo "\$ ${command[*]}" >>"$1"
  # In the background, so that Ctrl-C is heard at once; timeout passes its own TERM on.
  timeout -k 5 "$left" "${command[@]}" >>"$1" 2>&1 </dev/null &
  child=$!
  wait "$child"
  status=$?
  if ((interrupted)); then
    wait "$child"
    status=130
  fi
  child=''
  ((status == 137)) && status=124
  return $status
}

declare -A state seconds_of detail
# verdict STATE DETAIL, from within a part
verdict() { state[$part]=$1 detail[$part]=$2; }
# judge STATUS WHAT: the verdict of a command that should have ended with 0; returns whether it did
judge() {
  case $1 in
    0) return 0 ;;
    # A device that is there and fails, or lacks memory, ends a program with 4, too.
    4) verdict "$( ((device_status == 0)) && echo failed || echo 'no device')" "$2: $(last_line)" ;;
    124) verdict 'timed out' "$2 ran past the part's limit${3:+, $3}" ;;
    127) verdict failed "$2: no such program in $bin" ;;
    130) verdict interrupted "$2" ;;
    *) verdict failed "$2 ended with $1${3:+, $3}: $(last_line)" ;;
  esac
  return 1
}
last_line() { grep -v '^[[:space:]]*$' "$log" | grep -v '^  ' | tail -n 1 | cut -c 1-300; }

# --- parts ------------------------------------------------------------------------------------------------------------
count() { grep -c "$1" "$log"; }
run_tests() {  # run_tests PROGRAM
  local status ok skipped failed counts
  program "$1" '--gtest_filter=*/cuda'
  SHEAF_REQUIRE=cuda run "$log"
  status=$?
  ok=$(count '^\[       OK \] ') skipped=$(grep '^\[  SKIPPED \] .*/cuda (' "$log" | sort -u | wc -l)
  failed=$(grep '^\[  FAILED  \] .*/cuda' "$log" | sed 's/^[^]]*\] //; s/[, ].*//' | sort -u | tr '\n' ' ')
  counts="$ok passed, $skipped skipped${failed:+, failed: $failed}"
  { echo "# $1"; grep -E '^\[ +(OK|SKIPPED|FAILED) +\] .*/cuda' "$log"; } >>"$out/tests.txt"
  judge "$status" "$1" "$counts" || return
  ((ok > 0)) || { verdict failed "$1 ran no test on the GPU"; return; }
  verdict passed "$counts"
}
part_ops() { run_tests test_ops; }
part_engine() { run_tests test_engine; }

# sanitize PROGRAM ARG...: under the tool that the part is named after
sanitize() {
  program "$@"
  command=("$sanitizer" --tool "$part" --error-exitcode "$sanitizer_found" --target-processes all "${command[@]}")
  run "$log"
}
run_sanitizer() {
  local status ok poison=1
  program gpu_plants none
  run "$log"
  judge $? 'gpu_plants' || return
  [[ -n $sanitizer ]] || { verdict 'not available' 'compute-sanitizer is not installed'; return; }
  sanitize gpu_plants none
  status=$?
  if ((status != 0 && status != sanitizer_found)) && grep -qi "$sanitizer_refuses" "$log"; then
    verdict 'not available' "$(grep -i "$sanitizer_refuses" "$log" | head -n 1)"
    return
  fi
  judge "$status" 'the clean program' || return
  sanitize gpu_plants "$part"
  status=$?
  ((status == 0)) && { verdict failed 'the planted bug was not reported'; return; }
  ((status == sanitizer_found)) || { judge "$status" 'the planted bug'; return; }
  # Poison makes allocations exact, which memcheck wants; to initcheck it would be something written.
  [[ $part == initcheck ]] && poison=0
  SHEAF_REQUIRE=cuda SHEAF_POISON=$poison sanitize test_ops "--gtest_filter=$sanitized_tests"
  status=$?
  ok=$(count '^\[       OK \] ')
  judge "$status" 'test_ops' "$ok tests passed" || return
  ((ok > 0)) || { verdict failed 'test_ops ran no test on the GPU'; return; }
  verdict passed "plant caught, $ok tests clean"
}
part_memcheck() { run_sanitizer; }
part_racecheck() { run_sanitizer; }
part_initcheck() { run_sanitizer; }
part_synccheck() { run_sanitizer; }

demo() {  # demo DEVICE NAME
  program sheaf demo --device "$1" --out "$work/$2"
  run "$log"
}
part_repeat() {
  demo cuda first
  judge $? 'the first demo' || return
  demo cuda second
  judge $? 'the second demo' || return
  if diff -rq "$work/first" "$work/second" >>"$log" 2>&1; then
    verdict passed "$(find "$work/first" -type f | wc -l) files with the same bytes"
  else
    verdict failed "the second run differs: $(diff -rq "$work/first" "$work/second" | head -n 1 | sed "s|$work/||g")"
  fi
}

# shellcheck disable=SC2016  # awk's own
# Compares two metrics.json, a value a line. Whole numbers count the data: equal. The ranking's figures are means over
# users: one user may change entirely (1/users). A user's bundle may give way to another of the same value but for
# rounding: 2 % of the bundles' means. The rest are smooth in the model: 0.1 %; four summation orders of one CPU differ
# by under 1e-6 of them.
readonly compare_metrics='
  function fail(why) {print name ": " why; bad = 1}
  {
    name = $0; sub(/:.*/, "", name); gsub(/[ "]/, "", name)
    value = $0; sub(/^[^:]*: */, "", value); sub(/,$/, "", value)
  }
  /^  "/ {section = name}
  name == "users" && value + 0 > users {users = value + 0}
  FNR == NR {names[FNR] = name; values[FNR] = value; sections[FNR] = section; n = FNR; next}
  names[FNR] != name {fail("the files differ in form"); exit}
  value == values[FNR] {next}
  value !~ /^-?[0-9.]+([eE][-+]?[0-9]+)?$/ || value !~ /[.eE]/ || values[FNR] !~ /^-?[0-9.]+([eE][-+]?[0-9]+)?$/ {
    fail(values[FNR] " became " value); next
  }
  {
    difference = value - values[FNR]; if (difference < 0) difference = -difference
    scale = value < 0 ? -value : value + 0
    bound = sections[FNR] == "ranking" ? 1 / users : (sections[FNR] == "user_bundles" ? 0.02 : 0.001) * scale
    if (difference > bound) fail(values[FNR] " became " value ", allowed " bound)
    share = bound > 0 ? difference / bound : 0; if (share > largest) {largest = share; where = name}
  }
  END {
    if (!bad && FNR != n) {print "the files differ in form"; bad = 1}
    if (!bad) printf "metrics agree, the largest difference is %.3g of its bound%s\n", largest, where ? " (" where ")" : ""
    exit bad
  }'
# same_share COLUMNS FILE: "equal all" lines of both demos by these columns of a CSV, the header left out
same_share() {
  local name
  for name in first on_cpu; do tail -n +2 "$work/$name/$2" | cut -d, -f"$1" | sort >"$work/$name.$2"; done
  echo "$(comm -12 "$work/first.$2" "$work/on_cpu.$2" | wc -l) $(wc -l <"$work/on_cpu.$2")"
}
part_agreement() {
  local metrics equal all users_equal users
  [[ -e $work/first/metrics.json ]] || { demo cuda first; judge $? 'the demo on the GPU' || return; }
  demo cpu on_cpu
  judge $? 'the demo on the CPU' || return
  metrics=$(awk "$compare_metrics" "$work/on_cpu/metrics.json" "$work/first/metrics.json" 2>&1) || {
    echo "$metrics" >>"$log"
    verdict failed "$(echo "$metrics" | grep -c .) figures differ: $(echo "$metrics" | head -n 1)"
    return
  }
  read -r equal all < <(same_share 2 bundles.csv)
  read -r users_equal users < <(same_share 1,3 users.csv)
  metrics+="; equal bundles: $equal of $all of the catalog, $users_equal of $users users'"
  echo "$metrics" >>"$log"
  # Searches differ only where two bundles are worth the same but for rounding.
  if ((users > 0 && all > 0 && users_equal * 100 >= users * 95 && equal * 100 >= all * 90)); then
    verdict passed "$metrics"
  else
    verdict failed "$metrics; wanted: 90 % and 95 %"
  fi
}
part_bench() {
  program sheaf_bench --suite full --device cuda --out "$out/bench.json" --markdown "$out/bench.md"
  run "$log"
  local status=$? n bad
  local is_bad='^[a-z_]*/[^ ]* \(WRONG\|failed\): '
  n=$(grep -c '^[a-z_]*/' "$log") bad=$(grep -c "$is_bad" "$log")
  ((status == 1 && bad > 0)) && { verdict failed "$bad of $n benchmarks: $(grep -m 1 "$is_bad" "$log" | cut -c 1-300)"; return; }
  judge "$status" 'sheaf_bench' "$n lines measured" || return
  verdict passed "$n benchmarks, every result right"
}
part_peers() {
  local folder peer n=0
  folder=$(find_folder bench/peers)
  [[ -n $folder ]] || { verdict 'not available' 'no folder bench/peers'; return; }
  command=(python3 -c 'import sys, torch; sys.exit(0 if torch.cuda.is_available() else "torch sees no GPU")')
  run "$log" || { verdict 'not available' "python3 with torch: $(last_line)"; return; }
  for peer in "$folder"/*.py; do
    grep -qs -- '--device' "$peer" || continue
    command=(python3 "$peer" --device cuda --out "$out/$(basename "$peer" .py).json")
    run "$log"
    judge $? "$(basename "$peer")" || return
    ((++n))
  done
  ((n > 0)) || { verdict 'not available' "no program in $folder"; return; }
  verdict passed "$n programs"
}

# --- what the machine is ----------------------------------------------------------------------------------------------
readonly gpu_query=name,driver_version,pstate,clocks.sm,clocks.mem,clocks.max.sm,clocks.max.mem,power.limit,temperature.gpu,memory.total,ecc.mode.current
query_gpu() {
  command -v nvidia-smi >/dev/null || { echo 'nvidia-smi is not installed'; return; }
  timeout 10 nvidia-smi -i 0 --query-gpu="$gpu_query" --format=csv,noheader 2>&1 | head -n 1
}
describe_device() {
  local found
  program sheaf --version
  version=$(timeout 20 "${command[@]}" 2>&1 | head -n 1)
  revision=$(sed -n 's/.*(\(.*\)).*/\1/p' <<<"$version")
  log=$work/device.log
  program sheaf devices --device cuda --json --no-measure
  part_end=$((SECONDS + 30)) part=device
  run "$log"
  device_status=$?
  clocks_before=$(query_gpu)
  # Keys come sorted: those of cuda:0 from its "device" to the closing brace.
  found=$(sed -n '/"device": "cuda:0"/,/}/s/^ *"\(name\|driver\)": "\(.*\)",\{0,1\}$/\1=\2/p' "$log")
  device=$(sed -n 's/^name=//p' <<<"$found" | head -n 1)
  driver=$(sed -n 's/^driver=//p' <<<"$found" | head -n 1)
}

# --- the summary ------------------------------------------------------------------------------------------------------
quoted() { printf '"%s"' "$(tr -d '\000-\037' <<<"$1" | sed 's/[\\"]/\\&/g')"; }
write_json() {
  local part comma=''
  printf '{\n  "result": %s,\n  "device": %s,\n  "driver": %s,\n' "$(quoted "$result")" "$(quoted "$device")" "$(quoted "$driver")"
  printf '  "gpu_fields": %s,\n  "gpu_before": %s,\n  "gpu_after": %s,\n' "$(quoted "$gpu_query")" "$(quoted "$clocks_before")" "$(quoted "$clocks_after")"
  printf '  "version": %s,\n  "revision": %s,\n  "date": %s,\n' "$(quoted "$version")" "$(quoted "$revision")" "$(quoted "$date")"
  printf '  "seconds": %d,\n  "limit_s": %d,\n  "parts": [' $((SECONDS - start)) "$total"
  for part in "${parts[@]}"; do
    printf '%s\n    {"part": %s, "state": %s, "seconds": %d, "limit_s": %d, "detail": %s}' "$comma" "$(quoted "$part")" \
      "$(quoted "${state[$part]}")" "${seconds_of[$part]}" "${limit_of[$part]}" "$(quoted "${detail[$part]}")"
    comma=,
  done
  printf '\n  ]\n}\n'
}
write_markdown() {
  local part
  printf '# GPU check of %s: %s\n\n' "${date%T*}" "$result"
  printf -- '- %s; driver and runtime %s\n- %s\n- %s s in all\n' "${device:-no CUDA device}" "${driver:--}" "$version" $((SECONDS - start))
  printf -- '- nvidia-smi (%s)\n  - before: %s\n  - after: %s\n\n' "$gpu_query" "$clocks_before" "$clocks_after"
  printf '| part | state | seconds | limit | |\n| --- | --- | ---: | ---: | --- |\n'
  for part in "${parts[@]}"; do
    printf '| %s | %s | %d | %d | %s |\n' "$part" "${state[$part]}" "${seconds_of[$part]}" "${limit_of[$part]}" "${detail[$part]//|/\\|}"
  done
}
finish() {
  local part needed failed=() missing=() lost=0 code=0
  for part in "${parts[@]}"; do
    case ${state[$part]:=not run} in
      passed | interrupted | 'not run') ;;
      'no device') lost=1 ;;
      'not available')
        needed=sanitizer
        [[ $part == peers ]] && needed=peers
        if required "$needed"; then failed+=("$part"); else missing+=("$part"); fi
        ;;
      *) failed+=("$part") ;;
    esac
    : "${seconds_of[$part]:=0}" "${detail[$part]:=}"
  done
  result='passed'
  ((${#missing[@]})) && result="passed, not available: ${missing[*]}"
  if ((${#failed[@]})); then
    result="failed: ${failed[*]}" code=1
  elif ((lost)); then
    result='no CUDA device' code=4
  fi
  # A program that is broken on a machine without a GPU is worth less than the reason.
  ((device_status == 4)) && result="no CUDA device${failed[0]:+; failed: ${failed[*]}}" code=4
  ((interrupted)) && result="interrupted${failed[0]:+; failed: ${failed[*]}}" code=5
  clocks_after=$(query_gpu)
  if ! write_json >"$out/summary.json" || ! write_markdown >"$out/summary.md"; then
    echo "gpu_check: cannot write to $out" >&2
    code=1
  fi
  echo
  for part in "${parts[@]}"; do
    printf '%-10s %-14s %4d s  %s\n' "$part" "${state[$part]}" "${seconds_of[$part]}" "${detail[$part]:0:150}"
  done
  printf '%s\n%s on %s, %s s: %s/summary.md\n' "$result" "$version" "${device:-no CUDA device}" $((SECONDS - start)) "$out"
  exit $code
}

# --- all of it --------------------------------------------------------------------------------------------------------
start=$SECONDS date=$(date -u +%Y-%m-%dT%H:%M:%SZ) clocks_after=''
describe_device
if [[ -z $out ]]; then
  results=$(find_folder bench/results)
  slug=$(tr -cs 'A-Za-z0-9' '-' <<<"${device:-no-gpu}" | tr '[:upper:]' '[:lower:]' | sed 's/^-*//; s/-*$//')
  out=${results:-$PWD/bench/results}/$slug-${date%T*}
fi
mkdir -p "$out/logs" || wrong_usage "cannot write to $out"
out=$(cd "$out" && pwd)
: >"$out/tests.txt"
cp "$work/device.log" "$out/logs/device.txt"
if ((device_status != 0)); then
  echo "gpu_check: the program finds no CUDA device: $(grep -v '^\$' "$log" | head -n 1)" >&2
  echo "  run this where nvidia-smi shows a GPU, with a driver for CUDA 13 or newer" >&2
fi
for part in "${parts[@]}"; do
  since=$SECONDS log=$work/$part.log
  : >"$log"
  part_end=$((since + limit_of[$part]))
  ((part_end > deadline)) && part_end=$deadline
  if ((interrupted)); then
    verdict 'not run' 'interrupted before'
  elif ((part_end - since < 2)); then
    verdict 'no time' "all of the $total s were used before it"
  else
    echo "gpu_check: $part ..." >&2
    "part_$part"
  fi
  seconds_of[$part]=$((SECONDS - since))
  tail -n "$log_lines" "$log" >"$out/logs/$part.txt"
done
finish
