#!/usr/bin/env bash
# Makes .venv-peers with the systems that bench/peers compares with, at the versions that were measured.
#
#   ./scripts/setup_peers.sh                    PyTorch from pip's configured index: the CUDA build, 6 GB, runs on the CPU too
#   ./scripts/setup_peers.sh --cpu-index URL    the CPU build of PyTorch from the index that its project names for it
#
# SHEAF_PEERS_CPU_INDEX in the environment does what --cpu-index does. Running it again does nothing that is done.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cpu_index=${SHEAF_PEERS_CPU_INDEX:-}
case ${1:-} in
  "") ;;
  --cpu-index) cpu_index=${2:?setup_peers: --cpu-index needs a URL} ;;
  *) echo "setup_peers: unknown word '$1'; see the head of this script" >&2; exit 2 ;;
esac

torch=torch==2.15.0
others=(numpy==2.4.6 scipy==1.17.1 faiss-cpu==1.15.1 implicit==0.7.3 deap==1.4.4 pygad==3.9.2)
venv=.venv-peers
pip() { "$venv/bin/python" -m pip --disable-pip-version-check --quiet "$@"; }

[[ -x $venv/bin/python ]] || python3 -m venv "$venv" || {
  echo "setup_peers: cannot make a virtual environment; on Debian and Ubuntu install python3-venv" >&2
  exit 1
}
pip install "${others[@]}"
if [[ -n $cpu_index ]]; then
  pip install --index-url "$cpu_index" "$torch"
else
  pip install "$torch"
fi
"$venv/bin/python" - <<'CHECK'
import deap, faiss, implicit, numpy, pygad, scipy, torch
print(f"setup_peers: torch {torch.__version__}, numpy {numpy.__version__}, scipy {scipy.__version__}, faiss {faiss.__version__}, implicit {implicit.__version__}, deap {deap.__version__}, pygad {pygad.__version__}")
CHECK
