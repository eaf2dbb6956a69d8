package adapt_test

import (
	"bufio"
	"io"
	"net"
	"net/textproto"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver/adapt"
)

// says is a connection that ends after the text of its Reader.
type says struct {
	net.Conn
	io.Reader
}

func (s says) Read(b []byte) (int, error) { return s.Reader.Read(b) }

func TestALineThatWasCutOffIsNotReturned(t *testing.T) {
	long := strings.Repeat("x", 5000)
	for _, tc := range []struct{ name, said, want string }{
		{"nothing", "", ""},
		{"lines", "213 39\r\n214 40\r\n", "213 39\r\n214 40\r\n"},
		{"the last one is cut off", "213 39\r\n214 4", "213 39\r\n"},
		{"before the line feed", "213 39\r", ""},
		{"a long line", long + "\n", long + "\n"},
		{"a long line that is cut off", long, long[:4096]},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(tc.said), iotest.OneByteReader(strings.NewReader(tc.said)), iotest.DataErrReader(strings.NewReader(tc.said))} {
				got, err := io.ReadAll(adapt.WholeLines(says{Reader: r}))
				require.NoError(t, err)
				assert.Equal(t, tc.want, string(got))
			}
		})
	}
}

func TestWholeLinesKeepsTextprotoFromHalfAnAnswer(t *testing.T) {
	half := func() says { return says{Reader: strings.NewReader("213 3")} }
	_, answer, err := textproto.NewReader(bufio.NewReader(half())).ReadResponse(213)
	require.NoError(t, err, "if this fails, WholeLines is no longer needed")
	require.Equal(t, "3", answer)
	_, _, err = textproto.NewReader(bufio.NewReader(adapt.WholeLines(half()))).ReadResponse(213)
	assert.ErrorIs(t, err, io.EOF)
}

// The rest of that line must not be taken for a whole one either.
func TestADeadlineWithinALineIsATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, err := onMemnet(t, func(nc net.Conn) {
			_, _ = io.WriteString(nc, "213 3")
			<-time.After(2 * time.Second)
			_, _ = io.WriteString(nc, "9\n")
			_, _ = io.Copy(io.Discard, nc)
		}, adapt.Client[*lines]{}).Dial(t.Context())
		require.NoError(t, err)
		defer nc.Close()
		whole, b := adapt.WholeLines(nc), make([]byte, 100)
		require.NoError(t, nc.SetDeadline(time.Now().Add(time.Second)))
		_, err = whole.Read(b)
		assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, nc.SetDeadline(time.Time{}))
		n, err := whole.Read(b)
		require.NoError(t, err)
		assert.Equal(t, "213 39\n", string(b[:n]))
	})
}

// A library that checks its own buffer must find the extra lines that the server
// has sent.
func TestWholeLinesHoldsNoWholeLineBack(t *testing.T) {
	const said = "one\ntwo\n\nthree\n"
	r := bufio.NewReader(adapt.WholeLines(says{Reader: strings.NewReader(said + "fo")}))
	line, err := r.ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "one\n", line)
	assert.Equal(t, len(said)-len(line), r.Buffered())

	for size := 1; size < len(said)+2; size++ {
		nc, b, all := adapt.WholeLines(says{Reader: strings.NewReader(said + "fo")}), make([]byte, size), ""
		n, err := nc.Read(b)
		for ; err == nil; n, err = nc.Read(b) {
			all += string(b[:n])
		}
		assert.Equal(t, io.EOF, err)
		assert.Equal(t, said, all, "in pieces of %d", size)
	}
}
