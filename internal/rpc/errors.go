package rpc

import (
	"errors"
	"fmt"

	"multipeer/engine"
	"multipeer/transfer"
)

// The codes of JSON-RPC 2.0, section 5.1.
const (
	codeParse   = -32700
	codeRequest = -32600
	codeMethod  = -32601
	codeParams  = -32602
	codeFailed  = 1 // an error without its own code
)

// Kind names an error for programs: stable, like its code.
type Kind struct {
	Code int
	Name string
	err  error
}

// Kinds lists the errors of the engine. Numbers and names are never reused. The first that matches counts.
var Kinds = []Kind{
	{codeParams, "invalid", engine.ErrInvalid},
	{10, "not_connected", engine.ErrNotConnected},
	{11, "no_peer", engine.ErrNoPeer},
	{12, "nobody", engine.ErrNobody},
	{13, "declined", engine.ErrDeclined},
	{14, "cancelled", engine.ErrCancelled},
	{15, "timeout", engine.ErrTimeout},
	{16, "too_large", engine.ErrTooLarge},
	{17, "busy", engine.ErrBusy},
	{18, "unavailable", engine.ErrUnavailable},
	{19, "blocked", engine.ErrBlocked},
	{20, "identity", engine.ErrIdentity},
	{21, "version", engine.ErrVersion},
	{22, "mismatch", engine.ErrMismatch},
	{23, "refused", engine.ErrRefused},
	{24, "own_key", engine.ErrOwnKey},
	{25, "kicked", engine.ErrKicked},
	{26, "bye", engine.ErrBye},
	{27, "lost", engine.ErrLost},
	{28, "answered", engine.ErrAnswered},
	{29, "closed", engine.ErrClosed},
	{30, "state", engine.ErrState},
	{31, "no_network", engine.ErrNoNetwork},
	{32, "profile_in_use", engine.ErrInUse},
	{33, "profile_permissions", engine.ErrPermissions},
	{34, "profile_corrupt", engine.ErrCorrupt},
	{35, "unknown_transfer", engine.ErrUnknownTransfer},
	{36, "incomplete", engine.ErrIncomplete},
	{37, "internal", engine.ErrInternal},
	{40, "no_space", transfer.ErrNoSpace},
	{41, "disk_full", transfer.ErrDiskFull},
	{42, "read_only", transfer.ErrReadOnly},
	{43, "denied", transfer.ErrDenied},
	{44, "bad_name", transfer.ErrBadName},
	{45, "digest", transfer.ErrDigest},
	{46, "vanished", transfer.ErrVanished},
	{47, "changed", transfer.ErrChanged},
	{48, "unreadable", transfer.ErrUnreadable},
	{49, "special", transfer.ErrSpecial},
	{50, "too_much", transfer.ErrTooMuch},
	{51, "stalled", transfer.ErrStalled},
	{52, "gone", transfer.ErrGone},
	{53, "file_too_large", transfer.ErrFileTooLarge},
	{54, "name_refused", transfer.ErrNameRefused},
	{55, "disk", transfer.ErrDisk},
	{56, "no_links", transfer.ErrNoLinks},
	{57, "unsized", transfer.ErrUnsized},
	{58, "too_long", transfer.ErrTooLong},
	{59, "too_many", transfer.ErrTooMany},
	{60, "not_started", errNotStarted},
	{61, "started", errStarted},
	{62, "no_such_handle", errNoHandle},
	{63, "request_failed", nil}, // *engine.RequestError
	{64, "stream_reset", nil},   // *engine.ResetError
	{65, "total_too_large", transfer.ErrTotal},
	{66, "transfer_protocol", transfer.ErrProtocol},
	{67, "not_durable", transfer.ErrUnsynced},
	{68, "unmounted", transfer.ErrUnmounted},
	{69, "private", transfer.ErrPrivate},
	{70, "resources", transfer.ErrResources},
}

var (
	errNotStarted = errors.New("the engine has not been started; call start first")
	errStarted    = errors.New("the engine has already been started")
	errNoHandle   = errors.New("this stream, invitation, offer or request does not exist or has ended")
)

// rpcError is an error of the protocol itself.
type rpcError struct {
	code int
	text string
}

func (e *rpcError) Error() string { return e.text }

func badParams(format string, a ...any) error {
	return &rpcError{codeParams, fmt.Sprintf(format, a...)}
}

// errorJSON is the error object of JSON-RPC 2.0.
type errorJSON struct {
	Code    int       `json:"code"`
	Message string    `json:"message"`
	Data    *kindJSON `json:"data,omitempty"`
}

type kindJSON struct {
	Kind     string            `json:"kind"`
	Peer     string            `json:"peer,omitempty"`     // the peer that the method acted on
	Transfer engine.TransferID `json:"transfer,omitempty"` // the transfer that the method acted on
	Reset    *int              `json:"reset,omitempty"`    // the code of a stream that was reset
}

// errorOf describes an error; nil for none.
func errorOf(err error) *errorJSON {
	if err == nil {
		return nil
	}
	out := &errorJSON{Code: codeFailed, Message: engine.CleanText(err.Error()), Data: &kindJSON{Kind: "failed"}}
	var op *engine.OpError
	if errors.As(err, &op) { // the caller knows what it called
		out.Message = engine.CleanText(op.Err.Error())
		out.Data.Transfer = op.Transfer
		if !op.Peer.IsZero() {
			out.Data.Peer = op.Peer.String()
		}
	}
	var own *rpcError
	var failed *engine.RequestError
	var reset *engine.ResetError
	switch {
	case errors.As(err, &own):
		out.Code, out.Data = own.code, nil
		return out
	case errors.As(err, &failed):
		out.Code, out.Data.Kind = 63, "request_failed"
		return out
	case errors.As(err, &reset):
		code := int(reset.Code)
		out.Code, out.Data.Kind, out.Data.Reset = 64, "stream_reset", &code
		return out
	}
	for _, k := range Kinds {
		if k.err != nil && errors.Is(err, k.err) {
			out.Code, out.Data.Kind = k.Code, k.Name
			return out
		}
	}
	return out
}
