#!/usr/bin/env bash
# Profiles a benchmark or a subcommand with Nsight Systems (where does the time go?) or Nsight Compute (why is this
# kernel slow?).
#
#   profile_nsight.sh nsys bench PATTERN                 the benchmarks that sheaf_bench --filter PATTERN finds
#   profile_nsight.sh nsys sheaf SUBCOMMAND [ARG...]     a subcommand; phases, ops, steps show as NVTX ranges
#   profile_nsight.sh ncu bench PATTERN
#   profile_nsight.sh ncu sheaf SUBCOMMAND [ARG...]
#
# Options, before nsys or ncu:
#   --out DIR         where reports go (build/profiles)
#   --programs DIR    where the programs are (build/cuda/bin), or a packed folder with bin/ and run
#   --range NAME      ncu: only kernels inside the NVTX range NAME: train, "training step", search, full_softmax, ...
#   --kernel REGEX    ncu: only kernels whose name it finds
#   --launches N      ncu: at most N launches (20), each of which is run many times
#
#   ./scripts/profile_nsight.sh nsys sheaf demo --out my-demo
#   ./scripts/profile_nsight.sh --range "training step" --launches 8 ncu sheaf train data --out model
#   ./scripts/profile_nsight.sh --kernel search_island ncu bench '^search/'
#
# The program gets --device cuda unless it is given another. Exit codes: the program's; 2 usage, 6 the tool is missing,
# 7 counters are forbidden.
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$here/../build/profiles programs=$here/../build/cuda/bin range='' kernel='' launches=20
usage() { sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }
stop() { echo "profile_nsight: $2" >&2; [[ -n ${3:-} ]] && echo "  $3" >&2; exit "$1"; }
while [[ ${1:-} == -* ]]; do
  [[ $1 == -h || $1 == --help ]] && { usage; exit 0; }
  (($# > 1)) || stop 2 "$1 needs a value, or is unknown" '--help lists the options'
  case $1 in
    --out) out=$2 ;;
    --programs) programs=$2 ;;
    --range) range=$2 ;;
    --kernel) kernel=$2 ;;
    --launches) launches=$2 ;;
    *) stop 2 "unknown option $1" '--help lists the options' ;;
  esac
  shift 2
done
[[ $launches =~ ^[1-9][0-9]*$ ]] || stop 2 "--launches '$launches' is no number"
(($# >= 3)) || stop 2 'say which tool (nsys or ncu), which program (bench or sheaf) and what to run' '--help shows examples'
tool=$1 kind=$2 what=$3
shift 2
case $tool in
  nsys) product='Nsight Systems' package=nsight-systems ;;
  ncu) product='Nsight Compute' package=nsight-compute ;;
  *) stop 2 "unknown tool '$tool'" 'say nsys or ncu' ;;
esac
[[ $tool == ncu || -z $range$kernel ]] || stop 2 '--range and --kernel select kernels for ncu; nsys records all'
case $kind in
  bench) command=(sheaf_bench --suite full --filter "$@") ;;
  sheaf) command=(sheaf "$@") ;;
  *) stop 2 "unknown program '$kind'" 'say bench or sheaf' ;;
esac
[[ " ${command[*]} " == *' --device'[\ =]* ]] || command+=(--device cuda)

program=${command[0]} programs=$(cd "$programs" 2>/dev/null && pwd) || stop 2 'no folder of programs' 'build the preset cuda, or name it with --programs'
if [[ -x $programs/$program ]]; then
  command[0]=$programs/$program
elif [[ -x $programs/run && -x $programs/bin/$program ]]; then
  command=("$programs/run" "${command[@]}")
else
  stop 2 "no program $program in $programs" 'build the preset cuda, or name its folder with --programs'
fi

find_tool() {
  local path
  for path in "$(command -v "$tool")" "/usr/local/cuda/bin/$tool" /opt/nvidia/"$package"*/*/"$tool" /opt/nvidia/"$package"*/*/bin/"$tool"; do
    [[ -x $path ]] && { echo "$path"; return; }
  done
}
path=$(find_tool)
[[ -n $path ]] || stop 6 "$product ($tool) is not on the PATH nor in /usr/local/cuda or /opt/nvidia" \
  "install the package $package of NVIDIA's repository, or the CUDA toolkit, which holds it"

mkdir -p "$out" || stop 2 "cannot write to $out"
out=$(cd "$out" && pwd)
label=$(tr -cs 'A-Za-z0-9' '-' <<<"$kind-$what" | sed 's/^-*//; s/-*$//')
report=$out/$label-$(date -u +%Y%m%dT%H%M%SZ) log=$(mktemp)
trap 'rm -f "$log"' EXIT

if [[ $tool == nsys ]]; then
  profiler=("$path" profile '--trace=cuda,nvtx,osrt' --force-overwrite=true --output "$report")
else
  # Clocks as they are: locking them needs rights, and figures of one run are compared with its own ceilings.
  profiler=("$path" --set full --nvtx --clock-control none --launch-count "$launches" --target-processes all --force-overwrite
    --export "$report")
  [[ -n $range ]] && profiler+=(--nvtx-include "$range/")
  [[ -n $kernel ]] && profiler+=(--kernel-name "regex:$kernel")
fi
"${profiler[@]}" "${command[@]}" 2>&1 | tee "$log"
status=${PIPESTATUS[0]}

if grep -q 'ERR_NVGPUCTRPERM' "$log"; then
  cat >&2 <<'WORDS'
profile_nsight: this machine forbids GPU performance counters to ordinary users (ERR_NVGPUCTRPERM)
  run as root, or let the administrator write `options nvidia NVreg_RestrictProfilingToAdminUsers=0` into
  /etc/modprobe.d/nvidia.conf and reload the driver; in a container, start it with --cap-add=SYS_ADMIN.
  nsys needs no counters: profile_nsight.sh nsys ... works as it is.
WORDS
  exit 7
fi
((status == 0)) || stop "$status" "$tool ended with $status; its last words are above"
case $tool in
  nsys)
    [[ -e $report.nsys-rep ]] || stop 1 "nsys wrote no $report.nsys-rep; its last words are above"
    "$path" stats --report nvtx_pushpop_sum --report cuda_gpu_kern_sum "$report.nsys-rep" >"$report.txt" 2>&1 ||
      echo "profile_nsight: nsys stats failed; $report.txt says why" >&2
    echo "Reports: $report.nsys-rep (open in Nsight Systems), $report.txt"
    ;;
  ncu)
    [[ -e $report.ncu-rep ]] || stop 1 'no kernel was profiled: does --range or --kernel name one that runs?'
    echo "Report: $report.ncu-rep (open in Nsight Compute, or: ncu --import $report.ncu-rep)"
    ;;
esac
