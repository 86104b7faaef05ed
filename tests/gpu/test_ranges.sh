#!/usr/bin/env bash
# test_ranges.sh PROGRAM LISTENER: the ranges of a short demo and of training by steps, as a profiler would see them.
# Runs on the CPU.
set -euo pipefail
program=$1 listener=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# heard NAME ARG...: runs the program with the listener; events in $folder/NAME
heard() {
  NVTX_INJECTION64_PATH=$listener SHEAF_NVTX_LOG=$folder/$1 "$program" "${@:2}" --device cpu --quiet >/dev/null
  awk '/^[+]/ {++depth} /^-/ {if (--depth < 0) exit 1} END {exit depth != 0}' "$folder/$1" || {
    echo "$1: ranges that end without a start, or never" >&2
    exit 1
  }
}
# expect_path NAME PATH: somewhere in NAME the open ranges were PATH, outermost first
expect_path() {
  awk -v wanted="$2" '
    /^[+]/ {open[++depth] = substr($0, 2); path = open[1]; for (i = 2; i <= depth; ++i) path = path "/" open[i]; if (path == wanted) found = 1}
    /^-/ {--depth}
    END {exit !found}' "$folder/$1" || {
    echo "$1: no range $2 among: $(grep '^+' "$folder/$1" | sort | uniq -c | tr '\n' ' ')" >&2
    exit 1
  }
}

heard demo demo --out "$folder/out" --set model.epochs=2
for path in import train 'train/training step' 'train/training step/table_bag' 'train/training step/full_softmax' \
  'train/training step/linear' 'train/training step/bpr' \
  'train/training step/adam' 'associate/cooccurrence' 'associate/cosine_topk' search search/bundle_terms search/search \
  score score/search score/row_topk evaluate evaluate/ranking evaluate/binary report; do
  expect_path demo "$path"
done
heard steps train "$folder/out/data" --out "$folder/model" --set model.preference=factorization \
  --set model.loss=bpr --set model.epochs=1
for path in 'train/training step/batch' 'train/training step/bpr' 'train/training step/table_update'; do
  expect_path steps "$path"
done
echo "$(grep -c '^+' "$folder/demo") ranges in the demo, $(grep -c '^+' "$folder/steps") in an epoch by steps"
