package imap

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/assert"
)

func TestLinesLeaveOutLiterals(t *testing.T) {
	const text = "T1 NOOP\r\n" +
		"T2 APPEND INBOX {12}\r\nSubject: x\r\n\r\n" +
		"T3 LOGIN {3+}\r\nada {6+}\r\ns3cret\r\n" +
		"* 1 FETCH (BODY[] ~{4}\r\n{9}\r UID 3)\r\n" +
		"T4 {0}\r\n\r\n" +
		"T3 NO no mailbox a{24}\r\n" +
		"* ok [ALERT] it is full {24}\r\n" +
		"* BYE{24}\r\n" +
		"* PREAUTH {24}\r\n" +
		"T5 BAD {24}\r\n" +
		"+ send {24}\r\n" +
		"* NOTE {3}\r\nabc\r\n" +
		"* 1 FETCH (({3}\r\nabc) NO {2}\r\nab)\r\n" +
		"bare\n" +
		"unfinished"
	want := []string{
		"T1 NOOP", "T2 APPEND INBOX {12}", "> ", "T3 LOGIN {3+}", ">  {6+}", "> ", "* 1 FETCH (BODY[] ~{4}", ">  UID 3)", "T4 {0}", "> ",
		"T3 NO no mailbox a{24}", "* ok [ALERT] it is full {24}", "* BYE{24}", "* PREAUTH {24}", "T5 BAD {24}", "+ send {24}",
		"* NOTE {3}", "> ", "* 1 FETCH (({3}", "> ) NO {2}", "> )", "bare",
	}
	for size := range len(text) {
		var l lines
		var got []string
		for rest := []byte(text); len(rest) > 0; {
			n := min(size+1, len(rest))
			l.cut(rest[:n], false, func(line string, inside, _ bool) {
				if inside {
					line = "> " + line
				}
				got = append(got, line)
			})
			rest = rest[n:]
		}
		assert.Equal(t, want, got, "in pieces of %d bytes", size+1)
	}
}

func TestLongLinesAreShortened(t *testing.T) {
	for _, piece := range []int{1, 700, 1 << 20} {
		var l lines
		var got []string
		text := []byte("* SEARCH" + strings.Repeat(" 1234567", 10_000) + " {3}\nabc)\n")
		for len(text) > 0 {
			n := min(piece, len(text))
			l.cut(text[:n], false, func(line string, _, _ bool) { got = append(got, line) })
			text = text[n:]
		}
		assert.Len(t, got, 2)
		assert.Less(t, len(got[0]), 1200)
		assert.Regexp(t, `^\* SEARCH 1234567 .* \(78912 bytes\) .* 1234567 \{3\}$`, got[0])
		assert.Equal(t, ")", got[1], "the literal after it is found")
	}
}

func TestSentLoginsAreRedacted(t *testing.T) {
	for line, want := range map[string]string{
		"T1 LOGIN ada s3cret":                 "T1 LOGIN (hidden)",
		"T1 login {3}":                        "T1 login (hidden)",
		"T1 AUTHENTICATE PLAIN AGFkYQBzM2Ny":  "T1 AUTHENTICATE PLAIN (hidden)",
		"T1 AUTHENTICATE SCRAM-SHA-256":       "T1 AUTHENTICATE SCRAM-SHA-256",
		"AGFkYQBzM2Ny":                        "(hidden)",
		"":                                    "(hidden)",
		"T1 CAPABILITY":                       "T1 CAPABILITY",
		"T1  authenticate  XOAUTH2  dXNlcj0=": "T1 authenticate XOAUTH2 (hidden)",
	} {
		assert.Equal(t, want, redactSent(line, false))
		assert.Equal(t, hidden, redactSent(line, true), "the rest of another line")
	}
}

func TestAnswersToLoginsAreRedacted(t *testing.T) {
	for line, want := range map[string]string{
		`T1 BAD cannot parse LOGIN "ada" "p4ss"`:          "T1 BAD (hidden)",
		"T1 NO [AUTHENTICATIONFAILED] ada, p4ss is wrong": "T1 NO [AUTHENTICATIONFAILED] (hidden)",
		"T1 NO [CLIENTBUG p4ss] no":                       "T1 NO (hidden)",
		"T1 NO [p4ss]":                                    "T1 NO (hidden)",
		"T1 OK [CAPABILITY IMAP4rev1 IDLE] ada":           "T1 OK [CAPABILITY IMAP4rev1 IDLE] (hidden)",
		"T1 OK":                                           "T1 OK",
		"* CAPABILITY IMAP4rev1 IDLE":                     "* CAPABILITY IMAP4rev1 IDLE",
		"* BYE ada has p4ss":                              "* BYE (hidden)",
		"* bad p4ss":                                      "* bad (hidden)",
		"+ cD1wNHNz":                                      "+ (hidden)",
		"+":                                               "+",
		"p4ss OK":                                         "(hidden)",
		"* ada p4ss":                                      "(hidden)",
		"T1 NOp4ss":                                       "(hidden)",
		"":                                                "(hidden)",
	} {
		assert.Equal(t, want, redactReceived(line, false))
		assert.Equal(t, hidden, redactReceived(line, true), "the rest of another line")
	}
}

// go-imap takes an answer as complete before the end of its line has arrived.
func TestALineOfALoginEndsAfterIt(t *testing.T) {
	var got []string
	tr := &trace{log: funcr.New(func(_, args string) { got = append(got, args) }, funcr.Options{})}
	var l lines
	l.cut([]byte("T1 BAD what is p4ss"), true, tr.receive)
	l.cut([]byte("\r\nT2 BAD no\r\n"), false, tr.receive)
	assert.Equal(t, []string{
		`"level"=0 "msg"="imap received" "line"="T1 BAD (hidden)"`,
		`"level"=0 "msg"="imap received" "line"="T2 BAD no"`,
	}, got)
}

func TestADisabledLoggerCostsNothing(t *testing.T) {
	w, _ := newWire(t)
	assert.Nil(t, newTrace(logr.Logger{}, w.Conn))
	assert.Nil(t, newTrace(logr.Discard(), w.Conn))
	assert.Nil(t, newTrace(funcr.New(func(_, _ string) {}, funcr.Options{}).V(1), w.Conn), "its verbosity is 0")
	assert.NotNil(t, newTrace(funcr.New(func(_, _ string) {}, funcr.Options{}), w.Conn))
}

// withoutMarks removes line ends, and the mark of the literal, from the text before it.
var withoutMarks = strings.NewReplacer("\n", "", "\r", "", "S", "")

// The bodies of fuzz tests don't use testify: the less code they cover by chance, the
// more runs they make.
func FuzzTheBytesOfALiteralAreNeverShown(f *testing.F) {
	f.Add("INBOX", "s3cret", 3)
	f.Add("INBOX {7}", "}\r", 0)
	f.Fuzz(func(t *testing.T, before, literal string, piece int) {
		before = withoutMarks.Replace(before)
		literal = "SSS" + strings.ReplaceAll(literal, "\n", "S")
		text := []byte(fmt.Sprintf("T1 APPEND %s {%d}\r\n%s)\r\n", before, len(literal), literal))
		var l lines
		var last string
		for piece = 1 + piece&63; len(text) > 0; {
			n := min(piece, len(text))
			l.cut(text[:n], false, func(line string, _, _ bool) {
				last = line
				if strings.Contains(line, "SSS") {
					t.Fatalf("%q is shown", line)
				}
			})
			text = text[n:]
		}
		if last != ")" {
			t.Fatalf("the last line is %q", last)
		}
	})
}
