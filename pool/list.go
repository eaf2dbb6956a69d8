package pool

import (
	"math/bits"
	"sync/atomic"
)

// list is the set of the slots that may be idle, by index. It contains every idle slot,
// and the words of its slots have the flag listed. A slot that comes into use stays in
// the list until it is removed under Pool.mu.
//
// The list changes only under Pool.mu. A reader without the lock may miss an index that
// was added a moment ago.
type list struct {
	levels atomic.Pointer[levels]
}

// levels has one bit per slot in bits, and one bit in words for each element of bits
// that is not zero. Skipping 50,000 slots in use takes 13 steps.
type levels struct {
	bits, words []atomic.Uint64
}

// grow makes room for the indexes below n.
func (l *list) grow(n int) {
	old := l.levels.Load()
	if old == nil {
		old = &levels{}
	}
	size := (n + 63) / 64
	if size <= len(old.bits) {
		return
	}
	size = max(size, 2*len(old.bits))
	l.levels.Store(&levels{grown(old.bits, size), grown(old.words, (size+63)/64)})
}

// grown returns a copy of words, n long.
func grown(words []atomic.Uint64, n int) []atomic.Uint64 {
	all := make([]atomic.Uint64, n)
	for i := range words {
		all[i].Store(words[i].Load())
	}
	return all
}

// add puts i into the set.
func (l *list) add(i int) {
	v := l.levels.Load()
	v.bits[i/64].Or(1 << (i % 64))
	v.words[i/64/64].Or(1 << (i / 64 % 64))
}

// remove takes i out of the set.
func (l *list) remove(i int) {
	v := l.levels.Load()
	bit := uint64(1) << (i % 64)
	if v.bits[i/64].And(^bit)&^bit == 0 {
		v.words[i/64/64].And(^(uint64(1) << (i / 64 % 64)))
	}
}

// next returns the lowest index from i on, or -1.
func (l *list) next(i int) int {
	v := l.levels.Load()
	if v == nil || i/64 >= len(v.bits) {
		return -1
	}
	if rest := v.bits[i/64].Load() >> (i % 64); rest != 0 {
		return i + bits.TrailingZeros64(rest)
	}
	for w := i/64 + 1; w/64 < len(v.words); {
		rest := v.words[w/64].Load() >> (w % 64)
		if rest == 0 {
			w = (w/64 + 1) * 64
			continue
		}
		w += bits.TrailingZeros64(rest)
		if word := v.bits[w].Load(); word != 0 {
			return w*64 + bits.TrailingZeros64(word)
		}
		w++
	}
	return -1
}
