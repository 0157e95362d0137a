package wire

import (
	"context"
	"errors"
)

// Reword returns an error with the given text that errors.Is and errors.As treat as the errors in is. Use it if a
// message needs a different wording than the error that programs check for.
func Reword(text string, is ...error) error { return &reworded{text, errors.Join(is...)} }

// EndOf returns the reason why ctx has ended, as ErrTimeout or ErrCancelled if it is one of the two.
func EndOf(ctx context.Context) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, context.DeadlineExceeded) {
		return Reword(ErrTimeout.Error(), ErrTimeout, cause)
	}
	if errors.Is(cause, context.Canceled) {
		return Reword(ErrCancelled.Error(), ErrCancelled, cause)
	}
	return cause
}

type reworded struct {
	text string
	is   error
}

func (r *reworded) Error() string { return r.text }
func (r *reworded) Unwrap() error { return r.is }
