package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"multipeer/engine"
)

// TestAnswers_ComeAfterTheirQuestion: a line typed before a question appears, or just as it does, is not an answer to
// it; a script may write its answers in advance.
func TestAnswers_ComeAfterTheirQuestion(t *testing.T) {
	p := &program{keyboard: true, out: newPrinter(io.Discard, io.Discard)}
	r := &receiver{program: p, lines: make(chan inputLine)}
	if r.answers() == nil || !r.early() {
		t.Error("a line without a question is kept for the next one")
	}
	r.put(question{text: "Take it?"})
	if !r.early() {
		t.Error("a line that came with the question answers it")
	}
	r.askedAt = time.Now().Add(-2 * tooSoon)
	if r.early() {
		t.Error("an answer is not accepted")
	}
	p.keyboard = false
	r.questions = nil
	if r.answers() != nil || r.early() {
		t.Error("a script's answers are dropped")
	}
}

// TestQuestion_WarnsOfATakenName: the question itself contains the warning, however often the peer has asked before.
func TestQuestion_WarnsOfATakenName(t *testing.T) {
	e, err := engine.New(engine.Config{Name: "Ben"})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var said strings.Builder
	r := &receiver{program: &program{in: strings.NewReader(""), out: newPrinter(io.Discard, &said)}, e: e, accept: "ask"}
	anna, eve := engine.PeerID{1}, engine.PeerID{2}
	peer := engine.Peer{ID: eve, Name: "Anna", LooksLike: anna}
	warning := fmt.Sprintf("Warning: Anna (%s) is not the device you know by that name (%s). ", eve.Short(), anna.Short())
	for i := range 3 * strangerLines {
		said.Reset()
		id := fmt.Sprint(i)
		r.invitation(&engine.Invitation{ID: id, Peer: peer})
		if got, want := said.String(), warning+"Connect to Anna ("+eve.Short()+")? [y/n] \n"; got != want {
			t.Fatalf("question %d is %q, want %q", i, got, want)
		}
		r.noteAbout(eve, "connected to %s", describe(peer))
		r.drop(id)
	}
	said.Reset()
	r.put(question{text: "Take it?", peer: engine.Peer{ID: eve, Name: "Anna"}})
	if got := said.String(); got != "Take it? [y/n] \n" {
		t.Errorf("of a peer with a name of its own: %q", got)
	}
}

// TestReceiveOnce_EndsWithWhatWasAccepted: an offer that someone else makes and withdraws does not end the command.
func TestReceiveOnce_EndsWithWhatWasAccepted(t *testing.T) {
	e, err := engine.New(engine.Config{Name: "Ben"})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	r := &receiver{program: &program{out: newPrinter(io.Discard, io.Discard)}, e: e, accept: "ask", once: true, bars: map[engine.TransferID]*progress{}}
	take := func(id string, state engine.TransferState, started time.Time) bool {
		done, _ := r.take(engine.Transfer{
			ID: engine.TransferID(id), Peer: engine.PeerID{1}, Incoming: true, State: state, Started: started, Err: engine.ErrCancelled, Items: 1, Files: 1, Names: []string{"x"},
		})
		return done
	}
	for _, end := range []engine.TransferState{engine.Cancelled, engine.Failed, engine.Declined} {
		if take("a", engine.Offered, time.Time{}) || take("a", end, time.Time{}) {
			t.Errorf("an offer that was not accepted ends it when it is %v", end)
		}
	}
	for _, end := range []engine.TransferState{engine.Cancelled, engine.Failed, engine.Delivered} {
		if take("b", engine.Moving, time.Now()) || !take("b", end, time.Now()) {
			t.Errorf("one that was accepted does not end it when it is %v", end)
		}
	}
}

// TestPair_AnswersComeAfterTheirQuestion: if a waiting device leaves, the answer about it does not count for the next
// one.
func TestPair_AnswersComeAfterTheirQuestion(t *testing.T) {
	e, err := engine.New(engine.Config{Name: "Ben"})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	p := &program{keyboard: true, out: newPrinter(io.Discard, io.Discard)}
	r := &pairer{program: p, e: e, asking: []engine.Pairing{{Peer: engine.PeerID{1}, Name: "Anna"}}}
	r.askNext()
	if err := r.answer(t.Context(), "y"); err != nil || !r.picked.IsZero() {
		t.Errorf("an answer that no one can have meant: %v, picked %v", err, r.picked)
	}
	r.askedAt = time.Now().Add(-2 * tooSoon)
	if err := r.answer(t.Context(), "y"); err == nil || r.picked.IsZero() {
		t.Errorf("an answer to the question: %v, picked %v", err, r.picked)
	}
}

// TestPair_AnotherAttemptEndsTheQuestion: the end of an attempt and the start of the next arrive as one event. The
// answer about the codes of the first must not reach the second.
func TestPair_AnotherAttemptEndsTheQuestion(t *testing.T) {
	e, err := engine.New(engine.Config{Name: "Ben"})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	anna := engine.Pairing{Peer: engine.PeerID{1}, Name: "Anna", Stage: engine.PairingCompare, Code: "123 456"}
	r := &pairer{program: &program{keyboard: true, out: newPrinter(io.Discard, io.Discard)}, e: e, picked: anna.Peer}
	if done, err := r.take(t.Context(), anna); done || err != nil {
		t.Fatalf("the codes: %v, %v", done, err)
	}
	anna.Stage, anna.Code = engine.PairingAsked, ""
	if done, err := r.take(t.Context(), anna); !done || !errors.Is(err, engine.ErrCancelled) {
		t.Errorf("another attempt: ended %v, %v", done, err)
	}
}
