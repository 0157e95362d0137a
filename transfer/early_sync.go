package transfer

import "os"

// syncAhead is how much of a file is written before it is made durable while more is written.
const syncAhead = 64 << 20

// earlySync makes the content of a file durable while more of it is written, so that little is left to do at the end.
// It is used by one goroutine.
type earlySync struct {
	stage  *stage
	f      *os.File
	from   int64      // up to where the last sync began
	failed bool       // a sync has failed
	synced chan error // receives the result of the sync in progress; nil if there is none
}

// written is called after the file was written up to pos. It returns the error of an earlier sync.
func (e *earlySync) written(pos int64) error {
	if e.synced != nil {
		select {
		case err := <-e.synced:
			e.synced = nil
			if err != nil {
				e.failed = true
				return err
			}
		default:
			return nil
		}
	}
	if pos-e.from < syncAhead {
		return nil
	}
	e.from = pos
	synced := make(chan error, 1)
	e.synced = synced
	go func() { synced <- e.stage.sync(e.f) }() // written or end waits for it
	return nil
}

// end waits for the sync in progress and returns its error.
func (e *earlySync) end() error {
	if e.synced == nil {
		return nil
	}
	err := <-e.synced
	e.synced, e.failed = nil, e.failed || err != nil
	return err
}
