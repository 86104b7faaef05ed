#!/usr/bin/env bash
# Stands in for the programs and tools of a GPU host under the name that it is started by. FAKE_<NAME>, the name in
# capitals, changes what one does: `fail`, `hang`, `none` (no test ran), `miss` (a plant is not caught), `always` (a
# clean program is reported), `refuse` (the tool does not know the device), `unsteady` (another demo each time),
# `worse`, `lost`, `differ` (other metrics, counts, bundles on the GPU; sheaf_bench: `lost` is an error of the device),
# `throw` (a benchmark fails), `forbidden` (no counters).
name=$(basename "$0")
variable=FAKE_$(tr 'a-z-' 'A-Z_' <<<"$name")
way=${!variable:-}
[[ $way == hang ]] && exec sleep 60
if [[ -n ${FAKE_NO_DEVICE:-} && $name != compute-sanitizer && "$*" != *--version* && "$*" != *cpu* ]]; then
  echo "$name: no CUDA device" >&2
  exit 4
fi

run_tests() {  # gtest's words
  [[ $way == none ]] && { echo '[  PASSED  ] 0 tests.'; return 0; }
  printf '[ RUN      ] On/BagTest.Adds/cuda\n[       OK ] On/BagTest.Adds/cuda (3 ms)\n'
  [[ $SHEAF_REQUIRE == cuda ]] || return 1
  [[ $way == fail ]] || return 0
  printf '[ RUN      ] On/BagTest.Sums/cuda\nbag.cpp:3: Failure\n[  FAILED  ] On/BagTest.Sums/cuda, where GetParam() = 1 (2 ms)\n'
  printf '[  FAILED  ] 1 test, listed below:\n[  FAILED  ] On/BagTest.Sums/cuda, where GetParam() = 1\n\n 1 FAILED TEST\n'
  return 1
}

write_demo() {  # write_demo FOLDER DEVICE
  local recall=0.25 users=322
  [[ $2 == cuda ]] && recall=0.2501
  [[ $way == worse && $2 == cuda ]] && recall=0.2601
  [[ $way == lost && $2 == cuda ]] && users=321
  printf '{\n  "balanced_sample": {\n    "auc": 0.7%s,\n    "pairs": 10\n  },\n  "ranking": [\n    {\n      "name": "model",\n' "$([[ $2 == cuda ]] && echo 00001)"
  printf '      "recall": %s,\n      "users": %s\n    }\n  ]\n}\n' "$recall" "$users"
} >"$1/metrics.json"

case $name in
  nvidia-smi) echo 'Fake GPU, 580.1, P0, 1980 MHz' ;;
  test_ops | test_engine) run_tests ;;
  gpu_plants) echo "gpu_plants $1" ;;
  sheaf_bench)
    echo 'bag/n_rows:10 1 us'
    while (($#)); do
      [[ $1 == --out || $1 == --markdown ]] && echo '{}' >"$2"
      shift
    done
    case $way in
      fail) echo 'adam/n:3 WRONG: 1 is not 2'; exit 1 ;;
      throw) printf 'adam/n:3 failed: out of device memory\nbce/n:3 1 us\n'; exit 1 ;;
      lost) printf 'sheaf_bench: cudaMalloc: out of memory\n  use a smaller batch\n' >&2; exit 4 ;;
    esac
    ;;
  sheaf)
    case $1 in
      --version) echo 'sheaf 1.2.3 (abcdef012345)' ;;
      devices) printf '{\n  "devices": [\n    {\n      "device": "cpu",\n      "driver": "",\n      "name": "Fake CPU"\n    },\n    {\n      "device": "cuda:0",\n      "driver": "13.0",\n      "name": "Fake GPU"\n    }\n  ]\n}\n' ;;
      demo)
        bundle=20
        [[ $way == differ && $3 == cuda ]] && bundle=21
        mkdir -p "$5"
        write_demo "$5" "$3"
        { echo rank,item_ids; echo "1,$bundle"; } >"$5/bundles.csv"
        printf 'user,top_items,bundle_items\n7,1; 2,1; 2\n' >"$5/users.csv"
        [[ $way != unsteady ]] || echo "$RANDOM$RANDOM" >>"$5/users.csv"
        ;;
    esac
    ;;
  compute-sanitizer)
    tool=$2 error=$4
    shift 6
    [[ $way == refuse ]] && { echo '========= Error: Device not supported'; exit 1; }
    [[ $* != *test_ops* || $tool:$SHEAF_POISON == initcheck:0 || ($tool != initcheck && $SHEAF_POISON == 1) ]] || exit 1
    "$@" || exit
    [[ $way != "always:$tool" ]] || exit "$error"
    if [[ ${!#} == "$tool" && $way != "miss:$tool" ]]; then
      echo '========= ERROR SUMMARY: 1 error'
      exit "$error"
    fi
    ;;
  nsys | ncu)
    report=none
    while (($#)) && [[ $1 != /*/run ]]; do
      [[ $1 == --output || $1 == --export ]] && report=$2
      shift
    done
    [[ $way == forbidden ]] && { echo '==ERROR== ERR_NVGPUCTRPERM - The user does not have permission to access NVIDIA GPU Performance Counters'; exit 1; }
    (($# == 0)) || "$@" || exit
    [[ $report == none ]] || echo report >"$report.$([[ $name == nsys ]] && echo nsys-rep || echo ncu-rep)"
    ;;
esac
