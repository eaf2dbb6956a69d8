#!/usr/bin/env bash
# Checks pool.pml with spin, in each size to the end; and that spin finds the
# fault of each BROKEN_ variant. Takes seconds, and 2 GB of memory at the most.
set -euo pipefail
cd "$(dirname "$0")"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cp pool.pml "$dir"
cd "$dir"

# search prints what spin says of the model compiled with the given names.
search() {
	spin -a "$@" pool.pml >/dev/null
	gcc -w -O2 -DSAFETY -DCOLLAPSE -DMEMLIM=2048 -o pan pan.c
	timeout 120 ./pan -m300000 2>&1 || true
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

for fault in BROKEN_RELEASE BROKEN_JOIN BROKEN_MATCH BROKEN_GENERATION; do
	out=$(search -DSLOTS=1 -DUSERS=2 -D$fault)
	if ! grep -q 'errors: 1$' <<<"$out"; then
		echo "$out"
		echo "pool.pml $fault: the fault was NOT found"
		exit 1
	fi
	echo "pool.pml $fault: found, $(grep -oE 'invalid end state|assertion violated' <<<"$out" | head -1)"
done
