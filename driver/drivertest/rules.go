package drivertest

// Rules that others refer to: what they look at must be right before the
// others can be judged.
const (
	basic         = "ConnectReturnsAReadyConnection"
	connectEnds   = "ConnectEndsWithItsContext"
	closeUnblocks = "CloseUnblocksIO"
	closeBounded  = "CloseIsBounded"
	closeLeaves   = "CloseLeavesNothing"
	pingAsks      = "PingMakesARoundTrip"
	pingEnds      = "PingEndsWithItsContext"
	resetEnds     = "ResetSessionEndsWithItsContext"
	bindEnds      = "BindEndsBlockedIO"
)

// Sentences that more than one rule stands on.
const (
	nothingLeft   = "It returns soon after ctx ends, and leaves nothing open when it fails."
	returnSoon    = "Connect, Ping and ResetSession return soon after their ctx ends, with nothing left open or running when they fail."
	validIsHonest = "It is false after Close and after I/O that failed."
)

// rules are all rules, each with its sentence from the doc of package driver.
var rules = []rule{
	{
		basic, "Connect",
		"Connect returns a new, ready connection: dialed, encrypted and logged in, as the protocol wants it.",
		readyConnection,
	}, {
		connectEnds, "Connect", nothingLeft,
		connectEndsWithItsContext,
	}, {
		"FailedConnectLeavesNothing", "Connect", nothingLeft,
		failedConnectLeavesNothing,
	}, {
		"ContextOfConnectEndsWithConnect", "Connect",
		"ctx bounds Connect alone, not the life of the connection.",
		contextOfConnectEnds,
	}, {
		"ConnectorIsConcurrent", "a Connector",
		"Any number of goroutines may use it at a time.",
		connectorIsConcurrent,
	}, {
		"FullServerIsFull", "Connect",
		"If the server has no room for one more connection, the error is [Full], and the next Connect asks the server again.",
		fullServerIsFull,
	}, {
		"SecondCloseIsHarmless", "Close",
		"A second Close does no harm.",
		secondCloseIsHarmless,
	}, {
		closeUnblocks, "Close",
		"It may come from another goroutine than the one that uses the connection, and then unblocks its I/O.",
		closeUnblocksIO,
	}, {
		closeBounded, "Close",
		"Close is bounded: a farewell to a peer that does not answer may take a second or two, not for ever.",
		closeIsBounded,
	}, {
		closeLeaves, "Close",
		"It leaves no goroutine and no socket.",
		closeLeavesNothing,
	}, {
		pingAsks, "Ping",
		"Ping makes a round trip to the peer.",
		pingMakesARoundTrip,
	}, {
		pingEnds, "Ping", returnSoon,
		pingEndsWithItsContext,
	}, {
		"LocalCallsNeverWait", "IsValid, Bind and Received",
		"IsValid, Bind and Received do no I/O and never wait for the peer.",
		localCallsNeverWait,
	}, {
		"ClosedIsInvalid", "IsValid", validIsHonest,
		closedIsInvalid,
	}, {
		"FailedIsInvalid", "IsValid", validIsHonest,
		failedIsInvalid,
	}, {
		"ResetSessionCleansUp", "ResetSession",
		"ResetSession puts the connection back into the state in which Connect returned it.",
		resetCleansUp,
	}, {
		"ResetSessionFindsADeadPeer", "ResetSession",
		"It returns an error that is [IsBad] if the peer is known to have closed the connection.",
		resetFindsADeadPeer,
	}, {
		resetEnds, "ResetSession", returnSoon,
		resetEndsWithItsContext,
	}, {
		bindEnds, "Bind",
		"Bind makes the I/O of the connection fail soon after ctx ends, until unbind is called.",
		bindEndsBlockedIO,
	}, {
		"UnbindEndsTheBinding", "Bind",
		"unbind waits for a cancellation that is under way; after it, the end of ctx does nothing.",
		unbindEndsTheBinding,
	}, {
		"BindsNest", "Bind",
		"Binds nest: a Ping that binds its own context may be called under the Bind of Pool.Do, and both are obeyed.",
		bindsNest,
	}, {
		"ReceivedCountsAnswers", "Received",
		"It is zero when Connect returns and after ResetSession, and more after an answer of the peer.",
		receivedCountsAnswers,
	}, {
		"ErrBadConnMeansNothingWasDone", "ErrBadConn",
		"After bytes were sent, return the I/O error itself.",
		errBadConnMeansNothingWasDone,
	}, {
		"SecretsStaySecret", "errors",
		"No error, log line or String method shows a secret of the DSN.",
		secretsStaySecret,
	},
}
