#!/usr/bin/env bash
# Searches pool.pml and gate.pml with spin. First, it searches every size completely,
# and there must be no error. Then spin must find the fault in each BROKEN_ variant.
# Takes about a minute and a half of CPU time, and at most 2 GB of memory.
set -euo pipefail
cd "$(dirname "$0")"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cp pool.pml gate.pml "$dir"
cd "$dir"

# search prints spin's report on a model compiled with the given definitions.
search() {
	local model=$1
	shift
	spin -a "$@" "$model" >/dev/null
	gcc -w -DSAFETY -DCOLLAPSE -DMEMLIM=2048 -o pan pan.c
	timeout 600 ./pan -m300000 2>&1 || true
}

# holds searches a model of one size, in which there must be no error.
holds() {
	local out
	out=$(search "$@")
	if ! grep -q 'errors: 0$' <<<"$out" || grep -qE 'not completed|max search depth too small' <<<"$out"; then
		echo "$out"
		echo "$*: FAILED"
		exit 1
	fi
	echo "$*: holds in$(grep -oE ' [0-9.e+]+ states, stored' <<<"$out")"
}

# found searches a model with a fault.
found() {
	local out
	out=$(search "$@")
	if ! grep -q 'errors: 1$' <<<"$out"; then
		echo "$out"
		echo "$*: the fault was NOT found"
		exit 1
	fi
	echo "$*: found, $(grep -oE 'invalid end state|assertion violated' <<<"$out" | head -1)"
}

for size in "-DSLOTS=1 -DUSERS=2" "-DSLOTS=2 -DUSERS=2" "-DSLOTS=1 -DUSERS=3 -DCALM"; do
	holds pool.pml $size
done
for size in "-DPOOLS=2 -DLIMIT=1 -DREST" "-DPOOLS=3 -DLIMIT=1 -DROUNDS=1" "-DPOOLS=3 -DLIMIT=2 -DROUNDS=1"; do
	holds gate.pml $size
done

for fault in UNLIST RELEASE DELIVER IDLE LOST GENERATION GATE CLOSE FAIL SPARED HUNG; do
	size="-DSLOTS=2 -DUSERS=2 -DCALM"
	[ $fault != CLOSE ] || size="-DSLOTS=1 -DUSERS=2" # a calm pool is not closed
	found pool.pml $size -DBROKEN_$fault
done
for fault in UNLIST CONTENDED COMING LEFT TWICE REST; do
	found gate.pml -DPOOLS=2 -DLIMIT=1 -DREST -DBROKEN_$fault
done
