package transfers

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"multipeer/engine/internal/wire"
	"multipeer/transfer"
)

// TestRevoke_StopsAnAcceptanceInProgress covers a folder that takes seconds to make, for example on a disk that sleeps:
// a rule that is withdrawn meanwhile accepts nothing any more, and the offer stays open for a person.
func TestRevoke_StopsAnAcceptanceInProgress(t *testing.T) {
	for name, revoke := range map[string]func(d *device, of *device){
		"the rule is withdrawn": func(d, of *device) { d.RevokePolicy(of.profile.ID) },
		"the peer is forgotten": func(d, of *device) { d.Forget(of.profile.ID) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir() // removed after the devices have ended
				a, b := pair(t)
				a.offerTo(t, b, "1", OfferOptions{Keep: true})
				o := b.offer(t)
				b.Manager.mu.Lock()
				b.transfers["1"].byPolicy = true
				b.Manager.mu.Unlock()
				revoke(b, a)
				if err := o.Accept(AcceptOptions{Dir: dir, Policy: true}); !errors.Is(err, wire.ErrDeclined) || b.state("1") != Offered {
					t.Errorf("the rule accepted an offer after its end: %v, %v", err, b.state("1"))
				}
				if err := o.Accept(AcceptOptions{Dir: dir, Person: true}); err != nil {
					t.Errorf("a person: %v", err)
				}
			})
		})
	}
}

// TestTransfers_ForgottenFailuresLeaveNothing checks that what has arrived of a failed transfer goes with its record.
// Otherwise a peer whose transfers fail could fill the disk with small folders.
func TestTransfers_ForgottenFailuresLeaveNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, b := pair(t)
		dir := t.TempDir()
		staged := func(id ID) string { return filepath.Join(dir, transfer.PartialDir, string(id)) }
		add := func(id ID, state State) {
			b.Manager.mu.Lock()
			defer b.Manager.mu.Unlock()
			tr := b.newLocked(id, b.profile.ID, "other", true)
			tr.view.State, tr.accepted, tr.accept.Dir = state, true, dir
			b.transfers[id] = tr
		}
		for _, id := range []ID{"failed", "running"} {
			if err := os.MkdirAll(staged(id), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		add("failed", Failed)
		add("running", Stalled)
		for i := range keptTransfers + 1 {
			add(ID(fmt.Sprint("later", i)), Delivered)
		}
		synctest.Wait()
		if _, err := os.Stat(staged("failed")); b.state("failed") != -1 || !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the failed transfer is %v, its folder: %v", b.state("failed"), err)
		}
		if _, err := os.Stat(staged("running")); b.state("running") != Stalled || err != nil {
			t.Errorf("the stalled transfer is %v, its folder: %v", b.state("running"), err)
		}
	})
}
