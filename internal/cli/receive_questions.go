package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"multipeer/engine"
)

// This file asks the questions of receive one by one, and decides who answers them.

// question waits for a yes or no.
type question struct {
	text    string
	short   string      // the question as far as who asks, without its mark; for a prompt
	peer    engine.Peer // the peer that asks
	id      string      // of the invitation or offer
	accept  func() error
	decline func() error
}

// endAnswers continues without questions.
func (r *receiver) endAnswers(err error) {
	r.lines = nil
	if err != nil {
		r.inputErr = exit(exitFailed, errors.New(noAnswers(err)))
	}
	if r.host != nil {
		r.out.note("no answer can be read here (%s); leaving the answer to the running program", noAnswers(err))
		r.questions = nil
		r.stopAnswering()
		return
	}
	r.silent = true
	r.out.note("no answer can be read (%s); declining everything", noAnswers(err))
	for len(r.questions) > 0 {
		r.reply(false)
	}
}

// stopAnswering leaves offers and invitations to the host, including those that are waiting for an answer.
func (r *receiver) stopAnswering() {
	if r.silent {
		return
	}
	r.silent = true
	r.host.answersAgain()
}

// lookAgain picks up the offers and invitations that a command has left unanswered.
func (r *receiver) lookAgain(ctx context.Context) {
	for ev := range r.e.WatchState(ctx) {
		s, ok := ev.(engine.Snapshot)
		if !ok {
			continue
		}
		for _, i := range s.Invitations {
			if !r.asks(i.ID) {
				r.invitation(i)
			}
		}
		for _, o := range s.Offers {
			if !r.asks(string(o.Transfer.ID)) {
				r.offer(o)
			}
		}
		return
	}
}

// asks reports whether a question about an offer or an invitation is open.
func (r *receiver) asks(id string) bool {
	return slices.ContainsFunc(r.questions, func(q question) bool { return q.id == id })
}

// answers returns the channel to read lines from. A script may write its answers before the questions are asked. From a terminal, a line typed
// before a question is read and dropped.
func (r *receiver) answers() <-chan inputLine {
	if len(r.questions) == 0 && !r.typed() {
		return nil
	}
	return r.lines
}

// tooSoon is the time after a question within which no one can have read it.
const tooSoon = 700 * time.Millisecond

// early reports whether a typed line is not an answer to the open question.
func (r *receiver) early() bool {
	if !r.typed() {
		return false
	}
	if len(r.questions) == 0 {
		r.out.note("no question was pending; the line was ignored")
		return true
	}
	if time.Since(r.askedAt) < tooSoon { // guard: answers-after-questions
		r.out.note("that was typed before you could read the question; please answer again")
		r.askNext()
		return true
	}
	return false
}

func (r *receiver) put(q question) {
	r.questions = append(r.questions, q)
	if len(r.questions) == 1 {
		r.askNext()
	}
}

func (r *receiver) askNext() {
	if len(r.questions) == 0 {
		r.out.ask("")
		return
	}
	r.dropTyped()
	r.askedAt = time.Now()
	q := r.questions[0]
	if !q.peer.ID.IsZero() {
		// Check the name in the question, which may differ from the current one.
		if like := r.e.LooksLike(q.peer.ID, q.peer.Name); !like.IsZero() {
			q.peer.LooksLike = like
		}
	}
	short := q.short
	if !q.peer.LooksLike.IsZero() {
		short += ", not the device you know by that name"
	}
	r.out.askYes(careful(q.peer)+q.text, short)
}

// careful returns a warning to print before a question if a name belongs to a more trusted peer; otherwise it returns
// an empty string.
func careful(p engine.Peer) string {
	if p.LooksLike.IsZero() {
		return ""
	}
	return fmt.Sprintf("Warning: %s is not the device you know by that name (%s). ", describe(p), p.LooksLike.Short())
}

func (r *receiver) reply(yes bool) {
	q := r.questions[0]
	r.questions = r.questions[1:]
	r.out.ask("")
	do := q.decline
	if yes {
		do = q.accept
	}
	if err := do(); err != nil {
		r.out.note("%v", err)
	}
	r.askNext()
}

// drop removes a question that is no longer open.
func (r *receiver) drop(id string) {
	for i, q := range r.questions {
		if q.id == id {
			r.questions = append(r.questions[:i], r.questions[i+1:]...)
			if i == 0 {
				r.askNext()
			}
			return
		}
	}
}
