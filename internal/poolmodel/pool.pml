/*
 * The pool's fast path and its queue, for spin. README.md maps the names to the
 * code. A step of a process is one access to memory that other processes can
 * see, as with Go's atomics, which are sequentially consistent. Data guarded by
 * mu may be read and written in any number of steps.
 *
 * Compiled with one of the BROKEN_ names, the model has one fault, and spin must
 * find it.
 */

#ifndef SLOTS
#define SLOTS 2 /* also MaxOpen; 1 or 2 */
#endif
#ifndef USERS
#define USERS 2 /* the last one may give up waiting */
#endif
#ifndef ROUNDS
#define ROUNDS 1 /* leases wanted by each user */
#endif
#define LAST    (SLOTS - 1)
#define NOTHING 100
#define FAILED  101
#define CLOSED  100 /* the gate of a closed pool */

#ifdef BROKEN_DELIVER
#define DELIVERED 1
#else
#define DELIVERED 0 /* the flag listed of a lease that was delivered */
#endif

mtype = { FREE, CONNECTING, HELD, IDLE, LEASED };

mtype phase[SLOTS] = FREE; /* the state word of a slot: its phase, */
byte gen[SLOTS];           /* its generation, */
bit listed[SLOTS];         /* and three flags */
bit retire[SLOTS];
bit stale[SLOTS];

bit list[SLOTS];     /* Pool.list: written under mu, read by everyone */
byte gate;           /* Pool.gate: not zero if somebody waits or the pool is closed */
bit mu;              /* Pool.mu guards the rest */
bit closed;
byte connecting;     /* Connects that waiters may count on */
byte asked;          /* checks made for waiters, */
byte pinged[SLOTS];  /* 1: the slot is checked; 2: for a waiter */
byte since[SLOTS];   /* attempt.order: the arrivals before it began */
byte hung = NOTHING; /* the slot whose Connect hangs */
bit late;            /* that Connect returns in the end */
bit hasHung;
bit hasFailed;
byte arrivals;
byte failedSince;    /* waiters up to this order have waited through a failed Connect */
chan queue = [USERS] of { byte }; /* waiters, oldest first */
bit queued[USERS];
byte order[USERS];
byte ready[USERS] = NOTHING;      /* what a waiter was given: a slot, or FAILED */

byte finished; /* users that have had their rounds */
#ifndef CALM
bit kept; /* the keeper has had its turn */
#endif

/* The Connect of slot s is in progress and will return. */
#define RETURNS(s) (phase[s] == CONNECTING && hung != s)

/* Pool.mayStillServeLocked: a waiter may still get a connection. */
#define RETURNED(s) ((phase[s] == LEASED || phase[s] == HELD) && !retire[s])
#define HOPE        (RETURNED(0) || RETURNED(LAST))
#define ANY_IDLE    (phase[0] == IDLE || phase[LAST] == IDLE)

inline lock()   { atomic { mu == 0 -> mu = 1 } }
inline unlock() { mu = 0 }

/* slot.claim: idle to leased, the generation goes up, the flag stays. The load
   before the compare-and-swap needs no step of its own: the swap fails if the
   word has changed since. */
inline claim(s) {
	d_step {
		if
		:: phase[s] == IDLE && !stale[s] ->
			phase[s] = LEASED;
			gen[s] = gen[s] + 1;
			mine = s;
			lease = gen[s];
			flag = listed[s];
			assert(!ahead) /* it overtakes nobody */
		:: else
		fi
	}
}

/* Pool.setGateLocked. */
inline set_gate() { gate = (closed -> CLOSED : len(queue)) }

/* Pool.settleLocked: takes the oldest waiter out of the queue and wakes it. */
inline settle(what) {
	d_step { queue ? w; queued[w] = 0; set_gate() }
	d_step { ready[w] = what; w = 0 }
}

/* Pool.giveUpLocked: fails the waiters that waited through a failed Connect and
   that no connection can serve. Without mu, no slot comes into or out of HOPE. */
inline give_up() {
	do
#ifdef BROKEN_FAIL
	:: atomic { len(queue) > 0 -> queue ? <w> }
#else
	:: atomic { len(queue) > 0 && !HOPE -> queue ? <w> }
#endif
		if
		:: order[w] <= failedSince ->
			assert(!HOPE && !ANY_IDLE);
			settle(FAILED)
		:: else -> w = 0; break
		fi
	:: else -> break
	od
}

/* Pool.closeLocked: s is HELD by the caller. Its bit and its flag may stay. */
inline close(s) {
	d_step { phase[s] = FREE; retire[s] = 0 }
	serve()
}

/* Pool.putBackLocked: s is HELD by the caller. */
inline put_back(s) {
	if
	:: retire[s] || closed -> close(s)
	:: !retire[s] && !closed && len(queue) > 0 ->
		d_step { phase[s] = LEASED; gen[s] = gen[s] + 1; listed[s] = DELIVERED }
		list[s] = 0;
		settle(s)
	:: else ->
#ifdef BROKEN_IDLE
		phase[s] = IDLE
#else
		list[s] = 1;
		d_step { listed[s] = 1; phase[s] = IDLE }
#endif
	fi
}

/* Pool.assignIdleLocked: gives idle slots to waiters, or has them checked. Takes
   the other slots off the list. */
inline assign_idle() {
	i = 0;
	do
	:: i < SLOTS && len(queue) > 0 && list[i] ->
		d_step {
			was = phase[i];
			g = gen[i];
			flag = stale[i]
		}
		d_step { /* listed and retire change only under mu */
			ok = (phase[i] == was && gen[i] == g && stale[i] == flag);
			if
			:: ok && was == IDLE && !flag -> phase[i] = LEASED; gen[i] = g + 1; listed[i] = DELIVERED
			:: ok && was == IDLE && flag && len(queue) > asked ->
				phase[i] = HELD; stale[i] = 0; pinged[i] = 2; asked++ /* Pool.startCheckLocked */
#ifndef BROKEN_UNLIST
			:: ok && was != IDLE -> listed[i] = 0
#endif
			:: else
			fi;
			g = 0
		}
		if
		:: ok && was == IDLE && !flag -> list[i] = 0; settle(i); i++
		:: ok && was == IDLE && flag -> i++ /* stays listed: only a check may free it */
		:: ok && was != IDLE ->
#ifndef BROKEN_UNLIST
			list[i] = 0;
#endif
			i++
		:: else
#ifdef BROKEN_LOST
			-> i++
#endif
			/* lost to another process: try again */
		fi
	:: i < SLOTS && len(queue) > 0 && !list[i] -> i++
	:: else -> break
	od;
	i = 0; ok = 0; flag = 0
}

/* Pool.fillLocked: Connects for the waiters that nothing in progress will serve.
   Those that waited through a failed one wait for a connection to come back: the
   backoff lasts longer than the model. */
inline fill() {
	atomic { /* only under mu does a slot leave FREE */
		was = 0;
		do
		:: i < USERS -> g = g + (queued[i] && order[i] > failedSince); i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < SLOTS ->
			if
			:: g > connecting + asked && phase[i] == FREE && !closed ->
				phase[i] = CONNECTING;
				since[i] = arrivals;
				connecting++
			:: else
			fi;
			i++
		:: else -> break
		od;
		i = 0; g = 0
	}
}

/* Pool.serveLocked. */
inline serve() {
	assign_idle();
#ifndef BROKEN_SPARED
	give_up();
#endif
	fill()
}

/* Pool.joinLocked. */
inline join() {
	if
	:: closed -> ready[me] = FAILED
	:: else ->
		d_step {
			arrivals++;
			order[me] = arrivals;
			queue ! me;
			queued[me] = 1;
			set_gate()
		}
		serve()
	fi
}

/* Pool.beginClose. */
inline begin_close() {
	closed = 1;
	do
	:: len(queue) > 0 -> settle(FAILED)
	:: else -> break
	od;
	set_gate();
	do
	:: i < SLOTS && list[i] ->
		if
		:: d_step { phase[i] == IDLE -> phase[i] = HELD }
			d_step { phase[i] = FREE; retire[i] = 0; stale[i] = 0; listed[i] = 0 }
			list[i] = 0
#ifndef BROKEN_CLOSE
		:: d_step { phase[i] != IDLE -> listed[i] = 0 } /* comes back through put_back */
			list[i] = 0
#else
		:: else
#endif
		fi;
		i++
	:: i < SLOTS && !list[i] -> i++
	:: else -> i = 0; break
	od
}

/* Lease.Release on its fast path: one compare-and-swap of the lease's word. */
inline release_fast(s, l, f) {
	d_step {
#ifdef BROKEN_GENERATION
		ok = (f && phase[s] == LEASED && listed[s] && !retire[s]);
#else
#ifdef BROKEN_RELEASE
		ok = (f && phase[s] == LEASED && gen[s] == l && !retire[s]);
#else
		ok = (f && phase[s] == LEASED && gen[s] == l && listed[s] && !retire[s]);
#endif
#endif
		if
		:: ok -> phase[s] = IDLE
		:: else
		fi;
		ended = ok;
		ok = 0
	}
}

/* slot.grab: the flags may have changed since the lease began. */
inline grab(s, l) {
	d_step {
		ended = (phase[s] == LEASED && gen[s] == l);
		if
		:: ended -> phase[s] = HELD; flag = listed[s] && !retire[s]
		:: else
		fi
	}
}

/* The end of a lease that can't take the fast path. */
inline release_slow(s, l) {
	grab(s, l);
	if
	:: ended ->
		if
		:: flag -> /* a hook has run: try as Release does */
			d_step {
				ok = (phase[s] == HELD && listed[s] && !retire[s]);
				if
				:: ok -> phase[s] = IDLE
				:: else
				fi
			}
		:: true
		fi;
		if
		:: ok -> ok = 0
		:: else ->
			lock();
			if
			:: put_back(s)
			:: close(s) /* Lease.Discard */
#ifndef CALM
			:: !retire[s] && !closed -> /* Pool.checkLocked: after an unknown error, or a keepalive is due */
				d_step { pinged[s] = 1 + (len(queue) > 0); asked = asked + (len(queue) > 0) }
#endif
			fi;
			unlock()
		fi
	:: else
	fi
}

/* A caller of Acquire and Release. */
proctype user(byte me) {
	byte round, i, g, w, mine, lease;
	mtype was;
	bit ok, ended, flag, ahead;
	do
	:: round == ROUNDS -> break
	:: else ->
		round++;
		mine = NOTHING;
		d_step { ok = (gate == 0); ahead = (len(queue) > 0) }
#ifdef BROKEN_GATE
		ok = 1;
#endif
		if
		:: ok -> /* Pool.claim, without mu */
			ok = 0;
			if /* the slot of the hint comes first, listed or not */
			:: true
			:: claim(0)
#if SLOTS > 1
			:: claim(LAST)
#endif
			fi;
			do
			:: i < SLOTS && mine == NOTHING ->
				if
				:: list[i] -> claim(i)
				:: else
				fi;
				i++
			:: else -> break
			od;
			i = 0
		:: else
		fi;
		ahead = 0;
		if
		:: mine == NOTHING ->
			lock();
			join();
			unlock();
			if
			:: ready[me] != NOTHING -> mine = ready[me]; ready[me] = NOTHING
			:: me == USERS - 1 -> /* Pool.leave: its context ends */
				lock();
				if
				:: queued[me] ->
					queue ?? eval(me);
					d_step { queued[me] = 0; set_gate() }
					unlock()
				:: else -> /* served meanwhile: the connection goes to the next one */
					unlock();
					mine = ready[me];
					ready[me] = NOTHING;
					if
					:: mine < SLOTS -> lease = gen[mine]; release_slow(mine, lease)
					:: else
					fi
				fi;
				mine = NOTHING
			fi;
			if
			:: mine < SLOTS -> lease = gen[mine]; flag = DELIVERED
			:: else
			fi
		:: else
		fi;
		if
		:: mine < SLOTS ->
			if
			:: release_fast(mine, lease, flag)
			:: true /* a hook, a Validator, or Discard */
			fi;
			if
			:: !ended -> release_slow(mine, lease)
			:: else
			fi;
			assert(ended); /* nobody else had the slot meanwhile */
			if /* a stale copy of the lease ends nothing */
			:: release_fast(mine, lease, 1)
			:: grab(mine, lease)
			fi;
			assert(!ended)
		:: else /* it left, or its Connect failed */
		fi;
		d_step { lease = 0; flag = 0; ended = 0 }
	od;
	finished++
}

#ifdef CALM
#define kept 1
#else
/* The keeper does one of these: it marks an idle connection; it takes one, which
   passes its check or is closed; it retires a leased one, or takes it off the list;
   it closes the pool. */
proctype keeper() {
	byte i, g, w, s;
	mtype was;
	bit ok, flag;
	if
	:: s = 0
	:: s = LAST
	fi;
	if
	:: d_step { phase[s] == IDLE -> stale[s] = 1 } /* its check is due at its next use */
	:: d_step { phase[s] == IDLE -> phase[s] = HELD }
		lock();
		if
		:: put_back(s)
		:: close(s)
		fi;
		unlock()
	:: else ->
		lock();
		if
		:: d_step { phase[s] == LEASED -> retire[s] = 1 }
			serve()
		:: d_step { phase[s] == LEASED && listed[s] -> listed[s] = 0 } /* its keepalive is due */
			list[s] = 0
		:: else
		fi;
		unlock()
	:: lock();
		begin_close();
		unlock()
	fi;
	kept = 1
}
#endif

/* The Connects and the checks in progress. One Connect may fail. With two slots, one may hang. */
proctype connector() {
	byte i, g, w, s;
	mtype was;
	bit ok, flag;
end:	do
	:: RETURNS(0) || RETURNS(LAST) ->
		lock();
		if
		:: RETURNS(0) -> s = 0
		:: RETURNS(LAST) -> s = LAST
		fi;
		if
		:: d_step { connecting--; phase[s] = HELD; gen[s] = gen[s] + 1; failedSince = 0 }
			put_back(s)
		:: !hasFailed ->
			d_step {
				hasFailed = 1;
				connecting--;
				phase[s] = FREE;
				failedSince = since[s]
			}
#ifdef BROKEN_SPARED
			give_up()
#endif
#if SLOTS > 1
		:: !hasHung ->
			d_step {
				hasHung = 1;
				hung = s;
#ifndef BROKEN_HUNG
				connecting-- /* attempt.hung */
#endif
			}
			if
			:: late = 1
			:: true
			fi
#endif
		fi;
		s = 0;
		serve();
		unlock()
	:: pinged[0] || pinged[LAST] ->
		lock();
		d_step {
			if
			:: pinged[0] -> s = 0
			:: else -> s = LAST
			fi;
			asked = asked - (pinged[s] == 2);
			pinged[s] = 0
		}
		if
		:: put_back(s)
		:: close(s)
		fi;
		s = 0;
		serve();
		unlock()
	:: late ->
		lock();
		d_step {
			s = hung;
			hung = NOTHING;
			late = 0;
			phase[s] = HELD;
			gen[s] = gen[s] + 1
		}
		put_back(s);
		s = 0;
		serve();
		unlock()
	od
}

/* Starts with no connection or with an idle one. At the end no slot is lost, and
   every user has had an answer. */
init {
	byte s;
	atomic {
		if
		:: phase[0] = IDLE; listed[0] = 1; list[0] = 1
		:: true
		fi;
		do
		:: s < USERS -> run user(s); s++
		:: else -> break
		od;
		s = 0;
#ifndef CALM
		run keeper();
#endif
		run connector()
	}
	finished == USERS && kept && !RETURNS(0) && !RETURNS(LAST) && !late && asked == 0 && !pinged[0] && !pinged[LAST] && mu == 0;
	do
	:: s < SLOTS ->
		assert(phase[s] == FREE || s == hung || phase[s] == IDLE && listed[s] && list[s] && !closed);
		s++
	:: else -> break
	od;
	assert(len(queue) == 0 && gate == (closed -> CLOSED : 0));
#ifndef BROKEN_HUNG
	assert(connecting == 0)
#endif
}
