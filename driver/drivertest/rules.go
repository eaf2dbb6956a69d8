package drivertest

// Rules that other rules depend on.
const (
	basic         = "ConnectReturnsAReadyConnection"
	connectEnds   = "ConnectEndsWithItsContext"
	closeUnblocks = "CloseUnblocksIO"
	closeBounded  = "CloseIsBounded"
	closeReaches  = "CloseReachesThePeer"
	pingAsks      = "PingMakesARoundTrip"
	localCalls    = "LocalCallsNeverWait"
	pingEnds      = "PingEndsWithItsContext"
	resetEnds     = "ResetSessionEndsWithItsContext"
	bindEnds      = "BindEndsBlockedIO"
)

// Sentences of more than one rule.
const (
	nothingLeft   = "It returns soon after ctx ends, and leaves nothing open when it fails."
	returnSoon    = "Connect, Ping and ResetSession return soon after their ctx ends, and leave nothing open or running when they fail."
	validIsHonest = "It is false after Close and after failed I/O."
)

// rules are all rules, each with its sentence from the docs of package driver.
var rules = []rule{
	{
		basic, "Connect",
		"Connect returns a new, ready connection: dialed, encrypted and logged in, as the protocol requires.",
		readyConnection,
	}, {
		connectEnds, "Connect", nothingLeft,
		connectEndsWithItsContext,
	}, {
		"FailedConnectLeavesNothing", "Connect", nothingLeft,
		failedConnectLeavesNothing,
	}, {
		"ContextOfConnectEndsWithConnect", "Connect",
		"ctx bounds only Connect, not the life of the connection.",
		contextOfConnectEnds,
	}, {
		"ConnectorIsConcurrent", "a Connector",
		"Any number of goroutines may use it at once.",
		connectorIsConcurrent,
	}, {
		"FullServerIsFull", "Connect",
		"If the server has no room for another connection, the error is [Full], and the next Connect asks the server again.",
		fullServerIsFull,
	}, {
		"SecondCloseIsHarmless", "Close",
		"A second Close does no harm.",
		secondCloseIsHarmless,
	}, {
		closeUnblocks, "Close",
		"Close may be called while another goroutine uses the connection, and unblocks its I/O.",
		closeUnblocksIO,
	}, {
		closeBounded, "Close",
		"Close is bounded: saying goodbye to a peer that does not answer may take a second or two, not forever.",
		closeIsBounded,
	}, {
		closeReaches, "Close",
		"Close returns only when, as far as the driver can know, the peer no longer counts the connection against its limit.",
		closeReachesThePeer,
	}, {
		"CloseLeavesNothing", "Close",
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
		localCalls, "IsValid, Bind, Received and Sent",
		"IsValid, Bind, Received and Sent do no I/O and never wait for the peer.",
		localCallsNeverWait,
	}, {
		"ClosedIsInvalid", "IsValid", validIsHonest,
		closedIsInvalid,
	}, {
		"FailedIsInvalid", "IsValid", validIsHonest,
		failedIsInvalid,
	}, {
		"ResetSessionCleansUp", "ResetSession",
		"ResetSession returns the connection to the state in which Connect left it.",
		resetCleansUp,
	}, {
		"ResetSessionFindsADeadPeer", "ResetSession",
		"If the peer is known to have closed the connection, the error is [IsBad].",
		resetFindsADeadPeer,
	}, {
		resetEnds, "ResetSession", returnSoon,
		resetEndsWithItsContext,
	}, {
		"NothingIsLeftOver", "IsValid and ResetSession",
		"Data that one holder leaves unread never reaches the next: IsValid returns false, or ResetSession removes the data or fails.",
		nothingIsLeftOver,
	}, {
		bindEnds, "Bind",
		"Bind makes the I/O of the connection fail soon after ctx ends, until unbind is called.",
		bindEndsBlockedIO,
	}, {
		"UnbindEndsTheBinding", "Bind",
		"unbind waits for a cancellation in progress; afterward, the end of ctx has no effect.",
		unbindEndsTheBinding,
	}, {
		"BindsNest", "Bind",
		"Binds nest: a Ping that binds its own context may be called under the Bind of Pool.Do, and I/O obeys both.",
		bindsNest,
	}, {
		"ReceivedCountsAnswers", "Received",
		"It is zero when Connect returns and after ResetSession, and grows with each answer of the peer.",
		receivedCountsAnswers,
	}, {
		"SentCountsRequests", "Sent",
		"It is zero when Connect returns and after ResetSession.",
		sentCountsRequests,
	}, {
		"ErrBadConnMeansNothingWasDone", "ErrBadConn",
		"Once bytes were sent, return the I/O error itself.",
		errBadConnMeansNothingWasDone,
	}, {
		"SecretsStaySecret", "errors",
		"No error, log line or String method shows a secret of the DSN.",
		secretsStaySecret,
	}, {
		"WordsOfThePeerAreQuoted", "errors",
		"Text from the peer is quoted and bounded in every error and log line; see [Quote].",
		wordsAreQuoted,
	},
}
