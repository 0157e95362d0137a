//go:build linux

package browser

import (
	"context"
	"errors"
	"testing"
	"time"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// chromium is driven by the Chrome DevTools protocol.
type chromium struct{ ctx context.Context }

func startChromium(t *testing.T, program string, o options) page {
	t.Helper()
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.Flag("disable-dev-shm-usage", true))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, browserLife)
	t.Cleanup(cancel)
	c := &chromium{ctx}
	actions := []chromedp.Action{emulation.SetScriptExecutionDisabled(o.noScript)}
	if o.saved != "" {
		allow := cdpbrowser.SetDownloadBehavior(cdpbrowser.SetDownloadBehaviorBehaviorAllow)
		actions = append(actions, allow.WithDownloadPath(o.saved).WithEventsEnabled(true))
	}
	if err := chromedp.Run(ctx, actions...); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *chromium) visit(url string) error { return chromedp.Run(c.ctx, chromedp.Navigate(url)) }

func (c *chromium) press(selector string) error {
	return chromedp.Run(c.ctx, chromedp.Click(selector, chromedp.ByQuery))
}

func (c *chromium) fill(selector, text string) error {
	return chromedp.Run(c.ctx, chromedp.SendKeys(selector, text, chromedp.ByQuery))
}

func (c *chromium) choose(selector string, paths ...string) error {
	return chromedp.Run(c.ctx, chromedp.SetUploadFiles(selector, paths, chromedp.ByQuery))
}

func (c *chromium) eval(script string) (s string, err error) {
	ctx, cancel := context.WithTimeout(c.ctx, 10*time.Second)
	defer cancel()
	err = chromedp.Run(ctx, chromedp.Evaluate(script, &s))
	return s, err
}

// resume: Chromium continues broken downloads by itself.
func (c *chromium) resume() error { return nil }

func (c *chromium) process() int {
	b := chromedp.FromContext(c.ctx).Browser
	if b == nil || b.Process() == nil {
		panic(errors.New("the browser does not run"))
	}
	return b.Process().Pid
}
