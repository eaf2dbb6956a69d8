/*
 * pool.LocalGate and the pools behind it, for spin. README.md maps the names to the
 * code. Each pool has one slot and one caller. The lock of a pool is taken before
 * that of the gate.
 *
 * Compiled with REST, one connection rests before it is recalled.
 * Compiled with one of the BROKEN_ names, the model has one fault, and spin must
 * find it.
 */

#ifndef POOLS
#define POOLS 2
#endif
#ifndef LIMIT
#define LIMIT 1
#endif
#ifndef ROUNDS
#define ROUNDS 2 /* leases wanted by each caller */
#endif

mtype = { FREE, CONNECTING, HELD, IDLE, LEASED, CLOSING };

mtype phase[POOLS] = FREE; /* the slot of each pool */
bit listed[POOLS];         /* its Release may take the fast path */
bit mu[POOLS];             /* Pool.mu */

bit contended;       /* read without a lock */
bit gmu;             /* LocalGate.mu guards the rest */
byte used;
byte coming;
byte nwait;          /* entrants that wait */
bit waits[POOLS];
bit asked[POOLS];
bit recalled[POOLS]; /* the permit of each connection */
bit given[POOLS];    /* entrant.ready */

byte permits; /* permits that somebody holds; must equal used */
bit hasLeft;  /* one entrant has given up */
byte resting = POOLS; /* the pool whose connection rests; POOLS means none */
bit hasRested;        /* a connection has rested */

inline lock(m)   { atomic { m == 0; m = 1 } }
inline unlock(m) { m = 0 }

inline give(p) {
	used++;
	permits++;
	recalled[p] = 0;
	asked[p] = 0 /* the member moves to the back of the order */
	assert(permits <= LIMIT)
}

/* stop_waiting takes the entrant of p out. */
inline stop_waiting(p) {
	waits[p] = 0;
	nwait--;
	if
	:: nwait == 0 -> contended = 0
	:: else
	fi
}

/* leave is localPermit.Leave for the connection of p. */
inline leave(p, q) {
	lock(gmu);
	if
	:: recalled[p] ->
#ifndef BROKEN_COMING
		coming--
#endif
	:: else
	fi;
	recalled[p] = 0;
	if
	:: resting == p -> resting = POOLS
	:: else
	fi;
	used--;
	permits--;
	if
	:: nwait > 0 ->
		if /* any of them: the order is not modeled */
		:: waits[0] -> q = 0
		:: waits[1] -> q = 1
#if POOLS > 2
		:: waits[2] -> q = 2
#endif
		fi;
		stop_waiting(q);
#ifdef BROKEN_TWICE
		used--;
#endif
		give(q);
		given[q] = 1
	:: else
	fi;
	unlock(gmu)
}

/* put_back is the slow path to idle, under mu: localPermit.Recalled decides. */
inline put_back(p, yields) {
	yields = 0;
	if
	:: contended ->
		lock(gmu);
		if
		:: nwait > coming && nwait > waits[p] ->
			if /* any of these: whether the waiting pools have fewer is not modeled */
			:: recalled[p] = 1;
				coming++;
				yields = 1
#ifdef REST
			:: atomic { !hasRested -> hasRested = 1; resting = p }
#endif
			fi
		:: else ->
			asked[p] = 0
		fi;
		unlock(gmu)
	:: else
	fi;
	if
	:: yields -> phase[p] = CLOSING
	:: else -> atomic { phase[p] = IDLE; listed[p] = 1 }
	fi
}

/* yield is Pool.Yield of p. */
inline yield(p, yields) {
	yields = 0;
	lock(mu[p]);
	if
	:: atomic { phase[p] == IDLE -> phase[p] = HELD };
		put_back(p, yields)
	:: atomic { phase[p] != IDLE ->
#ifndef BROKEN_UNLIST
		listed[p] = 0
#else
		skip
#endif
		}
	fi;
	unlock(mu[p])
}

/* ask_others is LocalGate.askOthers. */
inline ask_others(p, q, yields) {
	do
	:: lock(gmu);
		q = 0;
		do
		:: q < POOLS && asked[q] -> q++
		:: else -> break
		od;
		if
		:: nwait <= coming || q == POOLS -> unlock(gmu); break
		:: else -> asked[q] = 1; unlock(gmu)
		fi;
		if
		:: q != p ->
			yield(q, yields);
			if
			:: yields -> lock(gmu); asked[q] = 0; unlock(gmu)
			:: else
			fi
		:: else
		fi
	od
}

/* caller is one caller of one pool, with all that the pool does for it. */
proctype caller(byte p) {
	byte round, q;
	bit yields, has;
	do
	:: round == ROUNDS -> break
	:: else ->
		round++;
		has = 0;
		if /* Acquire */
		:: atomic { phase[p] == IDLE -> phase[p] = LEASED }; has = 1
		:: atomic { phase[p] == FREE -> phase[p] = CONNECTING };
			lock(gmu); /* Enter */
			asked[p] = 0;
			if
			:: used < LIMIT -> give(p); has = 1; unlock(gmu)
			:: else ->
				waits[p] = 1;
				if
				:: nwait == 0 ->
					q = 0;
					do
					:: q < POOLS -> asked[q] = 0; q++
					:: else -> break
					od;
#ifndef BROKEN_CONTENDED
					contended = 1
#endif
				:: else
				fi;
				nwait++;
				unlock(gmu);
				ask_others(p, q, yields);
#ifdef BROKEN_CONTENDED
				lock(gmu); contended = (nwait > 0); unlock(gmu);
#endif
				if
				:: atomic { given[p] -> given[p] = 0 }; has = 1
				:: atomic { !hasLeft -> hasLeft = 1 }; /* its context ends */
					lock(gmu);
					if
					:: given[p] -> given[p] = 0;
#ifndef BROKEN_LEFT
						has = 1
#endif
					:: else -> stop_waiting(p)
					fi;
					unlock(gmu)
				fi
			fi;
			lock(mu[p]);
			if
			:: !has -> phase[p] = FREE
			:: has -> phase[p] = LEASED; listed[p] = 0 /* delivered */
			:: has -> phase[p] = CLOSING; has = 0    /* Connect fails */
			fi;
			unlock(mu[p])
		fi;
		if /* Release */
		:: has ->
			if
			:: atomic { listed[p] -> phase[p] = IDLE } /* the fast path */
			:: atomic { !listed[p] -> phase[p] = HELD };
				lock(mu[p]);
				put_back(p, yields);
				unlock(mu[p])
			fi
		:: else
		fi;
		phase[p] != CLOSING && phase[p] != HELD /* so that the slot is free, or idle */
	od
}

/* closer closes the connection of p: Pool.close. */
proctype closer(byte p) {
	byte q;
end:
	do
	:: phase[p] == CLOSING ->
		leave(p, q);
		phase[p] = FREE
	od
}

/* timer is localPermit.rested, for the connection that rests. */
proctype timer() {
	byte q;
	bit yields;
end:
	resting < POOLS;
	lock(gmu);
	if
	:: resting < POOLS ->
#ifndef BROKEN_REST
		asked[resting] = 0;
#endif
		resting = POOLS
	:: else /* it was closed just now */
	fi;
	unlock(gmu);
	ask_others(POOLS, q, yields)
}

/* judge checks the state when nothing more can happen. */
proctype judge() {
	byte p, n;
	timeout;
	do
	:: p < POOLS ->
		assert(!waits[p]);
		assert(phase[p] == FREE || phase[p] == IDLE);
		n = n + (phase[p] == IDLE);
		p++
	:: else -> break
	od;
	assert(used == n && permits == n && coming == 0 && nwait == 0 && !contended)
}

init {
	byte p;
	atomic {
		do
		:: p < POOLS -> run caller(p); run closer(p); p++
		:: else -> break
		od;
#ifdef REST
		run timer();
#endif
		run judge()
	}
}
