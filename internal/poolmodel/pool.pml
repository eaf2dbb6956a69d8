/*
 * The fast path of the pool beside its queue, for spin. README.md maps it to
 * the code. Each step of a process is one access to memory that the others see,
 * as in Go, whose atomics are sequentially consistent; what is guarded by mu
 * may take as many steps as it likes.
 *
 * Compiled with one of the BROKEN_ names it has one fault, which spin must find.
 */

#ifndef SLOTS
#define SLOTS 2 /* also MaxOpen */
#endif
#ifndef USERS
#define USERS 3 /* the last of them may give up waiting */
#endif
#ifndef ROUNDS
#define ROUNDS 1 /* leases that each of them wants */
#endif
#define NOTHING 100
#define FAILED  101

mtype = { FREE, CONNECTING, CHECKING, IDLE, LEASED };

mtype phase[SLOTS] = FREE; /* the state word of a slot: its phase */
byte gen[SLOTS];     /* and its generation */

byte gate;           /* Pool.gate */
bit mu;              /* Pool.mu guards the rest */
bit exhausted;
byte connecting;
chan queue = [USERS] of { byte }; /* waiters, the oldest first */
bit queued[USERS];
byte ready[USERS] = NOTHING;      /* what a waiter was given: a slot, or FAILED */

byte finished; /* users that have had their rounds */
#ifndef CALM
bit kept; /* the keeper has had his */
#endif

inline lock()   { atomic { mu == 0 -> mu = 1 } }
inline unlock() { mu = 0 }

/* What only one process can see takes no step of its own: d_step and atomic. */

/* A compare-and-swap of a state word: one step. */
inline cas(ok, s, from, g, to, up) {
	d_step {
		ok = (phase[s] == from && gen[s] == g);
		if
		:: ok -> phase[s] = to; gen[s] = gen[s] + up
		:: else
		fi
	}
}

/* slot.claim: idle to leased, one generation on. That a load comes before the
   compare-and-swap makes no difference: the swap fails if something came between. */
inline claim(s) {
	d_step {
		if
		:: phase[s] == IDLE ->
			phase[s] = LEASED;
			gen[s] = gen[s] + 1;
			mine = s;
			lease = gen[s]
		:: else
		fi
	}
}

/* Pool.settledLocked, for the oldest waiter. */
inline settle(what) {
	d_step { queue ? w; queued[w] = 0; gate = len(queue) }
	d_step { ready[w] = what; w = 0 }
}

/* Pool.putBackLocked: s is CHECKING, and the caller's. */
inline put_back(s) {
	if
	:: len(queue) > 0 ->
		d_step { phase[s] = LEASED; gen[s] = gen[s] + 1 }
		settle(s)
	:: else -> phase[s] = IDLE
	fi
}

/* Pool.serveLocked: idle slots for waiters, then Connects for the rest. */
inline serve() {
	do
	:: len(queue) > 0 && !exhausted ->
		found = NOTHING;
		i = 0;
		do
		:: atomic { i < SLOTS && found == NOTHING ->
			if
			:: phase[i] == IDLE -> found = i; g = gen[i]
			:: else
			fi;
			i++ }
		:: i == SLOTS || found != NOTHING -> break
		od;
		if
		:: atomic { found == NOTHING -> exhausted = 1; i = 0 }
		:: found != NOTHING ->
			cas(ok, found, IDLE, g, LEASED, 1);
			if
			:: ok -> settle(found)
			:: else /* lost to a fast path: look again */
			fi
		fi
	:: else -> break
	od;
	atomic { /* only mu's holder moves a slot out of FREE */
		i = 0;
		do
		:: i < SLOTS ->
			if
			:: len(queue) > connecting && phase[i] == FREE -> phase[i] = CONNECTING; connecting++
			:: else
			fi;
			i++
		:: else -> break
		od;
		i = 0; g = 0; found = 0
	}
}

/* Pool.joinLocked. */
inline join() {
	d_step {
		if
		:: len(queue) == 0 -> exhausted = 0
		:: else
		fi;
		queue ! _pid;
		queued[_pid] = 1
	}
#ifdef BROKEN_JOIN
	/* looks for idle slots before it raises the gate */
	serve();
	gate = len(queue)
#else
	gate = len(queue);
	serve()
#endif
}

/* Lease.Release. */
inline release(s, l) {
	before = gate;
	if
	:: before == 0 ->
#ifdef BROKEN_GENERATION
		d_step { ok = (phase[s] == LEASED); if :: ok -> phase[s] = IDLE :: else fi }
#else
		cas(ok, s, LEASED, l, IDLE, 0);
#endif
		held = ok;
#ifndef BROKEN_RELEASE
		before = gate; /* after it has published the slot, not only before */
#endif
		if
		:: ok && before != 0 -> /* Pool.match */
			lock();
#ifndef BROKEN_MATCH
			exhausted = 0;
#endif
			serve();
			unlock()
		:: else
		fi
	:: else ->
		cas(ok, s, LEASED, l, CHECKING, 0); /* slot.grab */
		held = ok;
		if
		:: ok -> lock(); put_back(s); unlock()
		:: else
		fi
	fi
}

/* A caller of Acquire and Release. */
active [USERS] proctype user() {
	byte round, i, g, w, before, found, mine, lease;
	bool ok, held;
	do
	:: round == ROUNDS -> break
	:: else ->
		round++;
		mine = NOTHING;
		before = gate;
		if
		:: before == 0 -> /* Pool.claim, without mu */
			do
			:: atomic { i < SLOTS && mine == NOTHING -> claim(i); i++ }
			:: i == SLOTS || mine != NOTHING -> break
			od;
			i = 0
		:: else
		fi;
		if
		:: mine == NOTHING ->
			lock();
			join();
			unlock();
			if
			:: ready[_pid] != NOTHING -> mine = ready[_pid]; ready[_pid] = NOTHING
			:: _pid == USERS - 1 -> /* Pool.leave: its context ends */
				lock();
				if
				:: queued[_pid] ->
					queue ?? eval(_pid);
					queued[_pid] = 0;
					gate = len(queue);
					unlock()
				:: else ->
					unlock();
					mine = ready[_pid]; /* served meanwhile: it goes on to the next */
					ready[_pid] = NOTHING;
					if
					:: mine < SLOTS ->
						lease = gen[mine];
						release(mine, lease)
					:: else
					fi
				fi;
				mine = NOTHING
			fi;
			if
			:: mine < SLOTS -> lease = gen[mine]
			:: else
			fi
		:: else
		fi;
		if
		:: mine < SLOTS ->
			release(mine, lease);
			assert(held); /* no two holders: nobody else had it meanwhile */
			release(mine, lease); /* a stale copy of the lease */
			assert(!held)
		:: else /* it left, or its Connect failed */
		fi
	od;
	finished++
}

#ifdef CALM
#define kept 1
#else
/* The keeper takes one idle connection, which passes its check or is closed. */
active proctype keeper() {
	byte i, g, w, found, before;
	bool ok;
	byte s;
	if
	:: s = 0
	:: s = SLOTS - 1
	fi;
	g = gen[s];
	cas(ok, s, IDLE, g, CHECKING, 0);
	if
	:: ok ->
		lock();
		if
		:: put_back(s)
		:: phase[s] = FREE; serve()
		fi;
		unlock()
	:: else
	fi;
	kept = 1
}
#endif

/* The Connects that are under way, of which one may fail. */
active proctype connector() {
	byte i, g, w, found, before, s;
	bool ok, failed;
end:	do
	:: connecting > 0 ->
		lock();
		if
		:: connecting > 0 ->
			s = 0;
			do
			:: phase[s] != CONNECTING -> s++
			:: else -> break
			od;
			connecting--;
			if
			:: atomic { phase[s] = CHECKING; gen[s] = gen[s] + 1 }
				put_back(s)
			:: !failed ->
				failed = 1;
				phase[s] = FREE;
				do /* Pool.failWaitersLocked */
				:: len(queue) > 0 -> settle(FAILED)
				:: else -> break
				od
			fi;
			serve()
		:: else
		fi;
		unlock()
	od
}

/* At the end, no slot is lost, and everybody has had an answer. */
active proctype judge() {
	byte s;
	finished == USERS && kept && connecting == 0 && mu == 0;
	do
	:: s < SLOTS -> assert(phase[s] == IDLE || phase[s] == FREE); s++
	:: else -> break
	od;
	assert(len(queue) == 0 && gate == 0)
}
