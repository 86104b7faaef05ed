#!/usr/bin/env bash
# Two processes with the same pid, as in two containers that share a folder, write one output at once. Each time one
# must win, the other be refused or write after it, and what is there be whole.
#
#   ./scripts/two_containers.sh [ROUNDS]    30 if it is not given; needs unshare (util-linux) and user namespaces
set -euo pipefail
program=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/build/cpu/bin/sheaf
rounds=${1:-30}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat >shop.toml <<'TOML'
[columns]
user = "user"
basket = "basket"
item = "item"
timestamp = "day"
[timestamp]
format = "%Y-%m-%d"
[split]
validation_days = 0
test_days = 5
TOML
for baskets in 3000 9000; do
  awk -v n="$baskets" 'BEGIN {
    print "user,basket,item,day"
    for (b = 0; b < n; ++b) for (line = 0; line < 4; ++line)
      printf "u%d,%d,i%d,2024-01-%02d\n", b % 100, b, (b * 7 + line * 41) % 200, 1 + b * 27 / n
  }' >"$baskets.csv"
done

alone() { unshare --user --map-root-user --pid --fork --mount-proc "$program" import "$1.csv" --config shop.toml --out data --quiet; }
one=0
both=0
for ((round = 1; round <= rounds; ++round)); do
  alone 3000 >/dev/null 2>3000.err & first=$!
  alone 9000 >/dev/null 2>9000.err & second=$!
  codes=""
  for process in $first $second; do
    code=0
    wait "$process" || code=$?
    codes+=$code
  done
  case $codes in
    00) both=$((both + 1)) ;;
    03 | 30) one=$((one + 1)) ;;
    *) echo "round $round: exit codes $codes" >&2; cat ./*.err >&2; exit 1 ;;
  esac
  # Reading it checks the sums of all its files.
  "$program" train data --out model --set model.preference=personal --quiet >train.out 2>train.err || { cat train.err >&2; exit 1; }
done
left=$(find . -maxdepth 1 -name 'data?*' | wc -l)
echo "$rounds rounds: $one with one of the two refused, $both with one after the other; all readable; $left files left beside"
((left == 0))
