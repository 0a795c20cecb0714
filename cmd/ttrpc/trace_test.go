package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTrace(t *testing.T) {
	dir := tempDir(t)
	startChat(t, dir, true)
	checkLines(t, dir, []line{
		{name: "trace", args: []string{"trace", "DIR/chat.sock", "Chat/Greet", "-d", `{"name":"you"}{"name":"nobody"}`, "-timeout", "0", "-H", "from:me"}},
		{name: "trace stream", args: []string{"call", "DIR/chat.sock", "Chat/Count", "-trace", "-d", `{"to":2}`}},
	})
}

// background runs a command that ends with its context. It returns when the command listens; end
// ends it and returns the exit code.
func background(t *testing.T, out *bytes.Buffer, args ...string) (end func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended, listening := make(chan int, 1), make(chan string, 10)
	stderr := writerFunc(func(p []byte) (int, error) {
		listening <- string(p)
		return len(p), nil
	})
	go func() { ended <- run(ctx, args, stdio{nil, out, stderr}) }()
	select {
	case text := <-listening:
		if !strings.Contains(text, "listening on") {
			t.Fatal(text)
		}
	case code := <-ended:
		t.Fatalf("exit code %d", code)
	}
	return func() int {
		cancel()
		return <-ended
	}
}

// What a proxy has recorded is decoded, and played as the server and as the client.
func TestProxyAndReplay(t *testing.T) {
	dir := tempDir(t)
	startChat(t, dir, true)
	proto := []string{"-I", "testdata", "-proto", "chat.proto"}
	var seen bytes.Buffer
	end := background(t, &seen, "proxy", dir+"/proxy.sock", dir+"/chat.sock", "-record", dir+"/calls.jsonl")
	call := func(socket, method, data string) string {
		args := append([]string{"call", "DIR/" + socket, "test.chat.v1.Chat/" + method, "-timeout", "1m", "-d", data}, proto...)
		return runLine(t, dir, "", args...)
	}
	calls := []struct{ method, data string }{
		{"Greet", `{"name":"you"}`}, {"Greet", `{"name":"nobody"}`}, {"Count", `{"to":2}`}, {"Sum", `{"value":4}{"value":5}`},
	}
	var replies []string
	for _, c := range calls {
		replies = append(replies, call("proxy.sock", c.method, c.data))
	}
	if code := end(); code != 0 {
		t.Errorf("proxy: exit code %d", code)
	}
	lines := runLine(t, dir, "", append([]string{"decode", "DIR/calls.jsonl"}, proto...)...)
	printed := seen.String()
	for _, c := range changing {
		printed = c.re.ReplaceAllString(printed, c.by)
	}
	if got := strings.TrimSuffix(lines, "--- exit code 0\n"); got != printed {
		t.Errorf("decode prints\n%s\nand the proxy printed\n%s", got, printed)
	}
	for _, text := range []string{`#1 > id=1 Request`, `#1 < id=1 Response`, `#2 < id=1 Response flags=extensions len=`,
		`status {"code":5`, `#3 < id=1 Data flags=- len=2 {"value":2}`, `#4 > id=1 Data flags=closed+no-data len=0`} {
		if !strings.Contains(strings.ReplaceAll(printed, "#1 < id=1 Response flags=extensions", "#1 < id=1 Response"), text) {
			t.Errorf("there is no %q in\n%s", text, printed)
		}
	}
	golden(t, "replay client", runLine(t, dir, "", "replay", "DIR/calls.jsonl", "DIR/chat.sock"))
	end = background(t, new(bytes.Buffer), "replay", dir+"/calls.jsonl", "-listen", dir+"/replay.sock")
	for i, c := range calls {
		if got := call("replay.sock", c.method, c.data); got != replies[i] {
			t.Errorf("%s %s: replay answers\n%s\nthe server\n%s", c.method, c.data, got, replies[i])
		}
	}
	golden(t, "replay unknown", call("replay.sock", "Echo", `{"value":1}`))
	golden(t, "replay list", runLine(t, dir, "", append([]string{"list", "DIR/replay.sock"}, proto...)...))
	if code := end(); code != 0 {
		t.Errorf("replay: exit code %d", code)
	}
}

// A server that answers otherwise is found out.
func TestReplayDiffers(t *testing.T) {
	dir := tempDir(t)
	startChat(t, dir, false)
	recorded := `{"conn":1,"dir":">","id":1,"type":1,"flags":0,"data":"ChF0ZXN0LmNoYXQudjEuQ2hhdBIFR3JlZXQ="}
{"conn":1,"dir":"<","id":1,"type":2,"flags":0,"data":"EgA="}
`
	if err := os.WriteFile(filepath.Join(dir, "calls.jsonl"), []byte(recorded), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "empty"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	silent, err := net.Listen("unix", filepath.Join(dir, "silent.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	checkLines(t, dir, []line{
		{name: "replay differs", args: []string{"replay", "DIR/calls.jsonl", "DIR/chat.sock"}},
		{name: "replay nobody", args: []string{"replay", "DIR/calls.jsonl", "DIR/none.sock"}},
		{name: "replay no recording", args: []string{"replay", "testdata/chat.proto", "DIR/none.sock"}},
		{name: "replay empty", args: []string{"replay", "DIR/empty", "DIR/chat.sock"}},
		{name: "replay silent", args: []string{"replay", "DIR/calls.jsonl", "DIR/silent.sock", "-timeout", "10ms"}},
		{name: "replay nothing", args: []string{"replay", "DIR/calls.jsonl"}},
	})
}

func TestDecode(t *testing.T) {
	request := "0000001a 00000001 01 00 0a11746573742e636861742e76312e43686174 12054772656574"
	checkLines(t, "DIR", []line{
		{name: "decode hex", stdin: "00000000 00000001 0200 " + "00000004 00000003 0310 de", args: []string{"decode", "-hex"}},
		{name: "decode request", stdin: request, args: []string{"decode", "-hex", "-I", "testdata", "-proto", "chat.proto"}},
		{name: "decode stranger", stdin: "HTTP/1.1 200 OK", args: []string{"decode"}},
		{name: "decode goaway", stdin: "00000004 00000000 4300 00000005 00000000 00000001 0284", args: []string{"decode", "-hex"}},
		{name: "decode cut off", stdin: "00000004 00000000 4300 00", args: []string{"decode", "-hex"}},
		{name: "decode other JSON", stdin: `{"name":"x"}`, args: []string{"decode"}},
		{name: "decode bad hex", stdin: "0g", args: []string{"decode", "-hex"}},
	})
}

func TestProxyErrors(t *testing.T) {
	dir := tempDir(t)
	startChat(t, dir, false)
	checkLines(t, dir, []line{
		{name: "proxy nobody", args: []string{"proxy", "DIR/proxy.sock", "DIR/none.sock"}},
		{name: "proxy in use", args: []string{"proxy", "DIR/chat.sock", "DIR/chat.sock"}},
		{name: "proxy nothing", args: []string{"proxy"}},
	})
}
