package wire

import "errors"

// Reword returns an error with its own text that is one of others for errors.Is and errors.As: what happened may need
// other words than the error that a program checks for.
func Reword(text string, is ...error) error { return &reworded{text, errors.Join(is...)} }

type reworded struct {
	text string
	is   error
}

func (r *reworded) Error() string { return r.text }
func (r *reworded) Unwrap() error { return r.is }
