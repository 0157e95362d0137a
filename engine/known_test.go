package engine_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// TestAcquaintancesOutliveTheirNearness: a screen can list and forget peers that are not there.
func TestAcquaintancesOutliveTheirNearness(t *testing.T) {
	net := enginetest.New(t, time.Millisecond)
	anna, ben := net.Start(engine.Config{Name: "Anna"}), net.Start(engine.Config{Name: "Ben"})
	if known := anna.Acquaintances(); len(known) != 0 {
		t.Errorf("a new profile knows %v", known)
	}
	id := ben.Self().ID
	soon(t, anna, func() bool { p, ok := anna.Peer(id); return ok && p.Confirmed })
	if err := anna.SetTrust(id, engine.TrustVerified); err != nil {
		t.Fatal(err)
	}
	if err := anna.SetAutoAccept(id, engine.AutoAccept{Bytes: 5, Dir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	_ = ben.Stop()
	soon(t, anna, func() bool { return len(anna.Peers()) == 0 })
	known := anna.Acquaintances()
	if len(known) != 1 || known[0].ID != id || known[0].Name != "Ben" || known[0].Trust != engine.TrustVerified || known[0].AutoAccept.Bytes != 5 {
		t.Errorf("%+v", known)
	}
	if err := anna.SetTrust(id, engine.TrustUnknown); err != nil {
		t.Fatal(err)
	}
	if known := anna.Acquaintances(); len(known) != 0 {
		t.Errorf("after it was forgotten: %v", known)
	}
}

func TestFreeSpaceOfAFolderThatIsNotThereYet(t *testing.T) {
	dir := t.TempDir()
	here, err := engine.FreeSpace(dir)
	if err != nil || here == 0 {
		t.Fatal(here, err)
	}
	if there, err := engine.FreeSpace(filepath.Join(dir, "a", "b")); err != nil || there == 0 {
		t.Error(there, err)
	}
}

// soon waits until news of n makes a condition true.
func soon(t *testing.T, n *enginetest.Node, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for range n.Watch(ctx) {
		if is() {
			return
		}
	}
	t.Fatal("it never came true")
}
