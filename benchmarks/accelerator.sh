#!/usr/bin/env bash
# All that a machine with a GPU is to tell of this library, in eight minutes.
#
#   benchmarks/accelerator.sh [FOLDER]            results, a Markdown file, go there
#   benchmarks/accelerator.sh --collect WHEELS    fetch what such a machine may lack
#
# Where a package index answers, the extra "cuda" is installed as constraints.txt pins
# it. Where none does, the jax that is installed there is used, whatever its version,
# with the wheels of the folder $WHEELS beside it. Parts come in the order of their
# worth, each with a limit of its own: what takes too long is cut off and says so, and
# the parts after it run. On a machine that has only a CPU everything runs with small
# sizes, and the first line of the results says so.
#
# PYTHON is the Python that makes the environment (python3 unless given); with
# ENVIRONMENT=FOLDER one that is there already is used as it is. PATIENCE=N takes N times
# as long a limit for each part, for a busy machine.
set -uo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}

if [ "${1:-}" = --collect ]; then
    folder=${2:?a folder for the wheels}
    # jax is that of the machine; numpy and scipy must be those it was built with.
    list=$(mktemp)
    trap 'rm -f "$list"' EXIT
    not="jax-|jax=|jaxlib|numpy|scipy|[Ss]phinx|furo|myst|docutils|pybtex|alabaster"
    not="$not|babel|beautifulsoup|soupsieve|pyright|nodeenv|ruff|import-linter|grimp"
    grep -vE "^($not)" constraints.txt > "$list"
    for version in ${VERSIONS:-3.12}; do
        while read -r line; do
            "$python" -m pip download -q --no-deps --only-binary :all: \
                --python-version "$version" --platform manylinux_2_28_x86_64 \
                --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
                -d "$folder" "$line" || echo "not as a wheel: $line" >&2
        done < "$list"
    done
    "$python" -m pip wheel -q --no-deps -w "$folder" .
    exit
fi

began=$SECONDS
results=${1:-benchmarks/results}
mkdir -p "$results"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
report=$work/report.md

limited() { timeout --kill-after=5 "$@"; }

environment() {
    limited 150 "$python" -m venv "$work/venv" &&
        limited 150 "$work/venv/bin/pip" install -q -c constraints.txt \
            -e '.[cuda,test]' && return
    echo "no package index answers: the installed jax is used" >&2
    rm -rf "$work/venv"
    "$python" -m venv --system-site-packages "$work/venv" &&
        limited 100 "$work/venv/bin/pip" install -q --no-index --no-deps \
            "${WHEELS:?a folder of wheels, see --collect}"/*.whl
}

part() { # part NAME SECONDS COMMAND...
    local name=$1 limit=$(($2 * ${PATIENCE:-1})) start=$SECONDS code=0
    local left=$((480 * ${PATIENCE:-1} - (SECONDS - began)))
    shift 2
    printf '\n## %s\n\n' "$name" >> "$report"
    if ((left < 10)); then
        printf 'no time was left\n' >> "$report"
        return
    fi
    limit=$((limit < left ? limit : left))
    limited "$limit" "$@" >> "$report" 2> "$work/errors" || code=$?
    case $code in
    0) told="$((SECONDS - start)) s" ;;
    124 | 137) told="cut off after $limit s" ;;
    *)
        told="failed, exit code $code"
        { echo '```' && tail -n 8 "$work/errors" && echo '```'; } >> "$report"
        ;;
    esac
    printf '\n%s\n' "$told" >> "$report"
    echo "$name: $told"
}

tailed() { # tailed LINES COMMAND...: the end of what is no table
    local lines=$1 code
    shift
    echo '```'
    "$@" | tail -n "$lines"
    code=${PIPESTATUS[0]}
    echo '```'
    return "$code"
}

if [ -n "${ENVIRONMENT:-}" ]; then
    bin=$ENVIRONMENT/bin
else
    environment || exit 1
    bin=$work/venv/bin
fi
export XLA_PYTHON_CLIENT_PREALLOCATE=${XLA_PYTHON_CLIENT_PREALLOCATE:-false}
export -f tailed
here=$PWD
# The library is the installed one; only its tests are files of this folder.
cd "$work"
measure() { "$bin/python" -m "dpodl.benchmarks.accelerator.$1"; }
export -f measure
export bin
limited $((60 * ${PATIENCE:-1})) "$bin/python" -m dpodl.benchmarks.accelerator.device > "$report" || exit 1
run="quickstart --set training.lanes=64"
head -n 1 "$report" | grep -q 'run on a CPU' && run=smoke

part "dpodl run $run" 120 bash -c \
    "tailed 24 '$bin/dpodl' run $run --quiet --output '$work/runs'"
# Of libraries that are newer than ours a warning is no error.
part "tests marked accelerator" 60 bash -c \
    "tailed 6 '$bin/python' -m pytest -q -m accelerator -W default \
    -o cache_dir='$work/pytest' '$here/tests/test_accelerator.py'"
part "models side by side" 120 bash -c "measure lanes"
part "the paper's trainings, a sweep's points" 75 bash -c "measure goals"
part "first-passage laws against the CPU's" 60 bash -c "measure laws"

cd "$here"
kind=accelerator
[ "$run" = smoke ] && kind=accelerator-script-on-a-cpu
file=$results/$(date -u +%Y-%m-%d)-$kind.md
printf '\n%s s in all\n' "$((SECONDS - began))" >> "$report"
cp "$report" "$file"
echo "results: $file"
