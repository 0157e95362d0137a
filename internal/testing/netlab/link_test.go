//go:build linux

package netlab_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"multipeer/internal/testing/netlab"
)

// visitLink plays a browser that opens a link. Its arguments are the address, the PIN, and the content that it sends as
// sent.txt; without content, it downloads the first file and prints it.
func visitLink(args []string) error {
	base, pin := args[0], args[1]
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	at, err := url.Parse(base)
	if err != nil {
		return err
	}
	client := &http.Client{Jar: jar, Timeout: 30 * time.Second}
	do := func(method, path string, body []byte, kind string) ([]byte, error) {
		r, err := http.NewRequest(method, base+path, bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		r.Header.Set("Origin", at.Scheme+"://"+at.Host)
		r.Header.Set("Content-Type", kind)
		res, err := client.Do(r)
		if err != nil {
			return nil, err
		}
		defer res.Body.Close()
		got, err := io.ReadAll(res.Body)
		if err == nil && res.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s %s: %s: %s", method, path, res.Status, got)
		}
		return got, err
	}
	if _, err := do("POST", "open", []byte(url.Values{"pin": {pin}}.Encode()), "application/x-www-form-urlencoded"); err != nil {
		return err
	}
	if len(args) < 3 {
		got, err := do("GET", "file/0", nil, "")
		fmt.Printf("%s", got)
		return err
	}
	offer := fmt.Sprintf(`{"files":[{"path":"sent.txt","size":%d}]}`, len(args[2]))
	got, err := do("POST", "offer", []byte(offer), "application/json")
	var answer struct{ Offer, State string }
	if err := errors.Join(err, json.Unmarshal(got, &answer)); err != nil {
		return err
	}
	for answer.State = "waiting"; answer.State == "waiting"; {
		got, err := do("GET", "offer/"+answer.Offer, nil, "")
		if err := errors.Join(err, json.Unmarshal(got, &answer)); err != nil {
			return err
		}
	}
	if answer.State != "accepted" {
		return errors.New(answer.State)
	}
	if _, err := do("PUT", "put/"+answer.Offer+"/0", []byte(args[2]), ""); err != nil {
		return err
	}
	_, err = do("POST", "finish/"+answer.Offer, nil, "")
	return err
}

// visit opens a link from a host, and returns what the visitor prints.
func visit(t *testing.T, h *netlab.Host, link map[string]any, send ...string) string {
	t.Helper()
	pin, _ := link["pin"].(string)
	base := fmt.Sprint(link["urls"].([]any)[0])
	c := h.Command(t.Context(), append([]string{os.Args[0], base, pin}, send...)...)
	c.Env = append(os.Environ(), "MULTIPEER_ROLE=visit link")
	var stderr strings.Builder
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Errorf("visiting %s: %v: %s", base, err, stderr.String())
	}
	return string(out)
}
