#!/usr/bin/env bash
# Searches pool.pml with spin: every size completely and without an error, then
# each BROKEN_ variant, in which spin must find the fault. Takes about a minute
# of CPU time, and at most 2 GB of memory.
set -euo pipefail
cd "$(dirname "$0")"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cp pool.pml "$dir"
cd "$dir"

# search prints spin's report on the model compiled with the given names.
search() {
	spin -a "$@" pool.pml >/dev/null
	gcc -w -DSAFETY -DCOLLAPSE -DMEMLIM=2048 -o pan pan.c
	timeout 600 ./pan -m300000 2>&1 || true
}

for size in "-DSLOTS=1 -DUSERS=2" "-DSLOTS=2 -DUSERS=2" "-DSLOTS=1 -DUSERS=3 -DCALM"; do
	out=$(search $size)
	if ! grep -q 'errors: 0$' <<<"$out" || grep -qE 'not completed|max search depth too small' <<<"$out"; then
		echo "$out"
		echo "pool.pml $size: FAILED"
		exit 1
	fi
	echo "pool.pml $size: holds in$(grep -oE ' [0-9.e+]+ states, stored' <<<"$out")"
done

for fault in UNLIST RELEASE DELIVER IDLE LOST GENERATION GATE CLOSE FAIL SPARED HUNG; do
	size="-DSLOTS=2 -DUSERS=2 -DCALM"
	[ $fault != CLOSE ] || size="-DSLOTS=1 -DUSERS=2" # a calm pool is not closed
	out=$(search $size -DBROKEN_$fault)
	if ! grep -q 'errors: 1$' <<<"$out"; then
		echo "$out"
		echo "pool.pml BROKEN_$fault: the fault was NOT found"
		exit 1
	fi
	echo "pool.pml BROKEN_$fault: found, $(grep -oE 'invalid end state|assertion violated' <<<"$out" | head -1)"
done
