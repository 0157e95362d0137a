package web

import (
	"crypto/sha256"
	"fmt"
	"sync"
)

// maxMissing limits how many missing files are tracked. Files beyond it count as missing until the link ends.
const maxMissing = 200_000

// missingFiles tracks the files of accepted uploads that have not arrived. A file is no longer missing when the same visitor
// sends it again. All methods may be called concurrently.
type missingFiles struct {
	mu        sync.Mutex
	files     map[[sha256.Size]byte]bool
	untracked int
}

// fileKey identifies a file that a visitor sends, possibly in several uploads. Names alone do not: phones give many
// pictures the same name.
func fileKey(v Visitor, f offeredFile) [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%d %d %d %s", v.Number, f.Size, f.Modified, f.Path))
}

// update records which files of an upload have not arrived.
func (m *missingFiles) update(v Visitor, files []offeredFile, lost func(path string) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range files {
		key := fileKey(v, f)
		switch {
		case !lost(f.Path):
			delete(m.files, key)
		case m.files[key]:
		case len(m.files) >= maxMissing: // guard: web-missing
			m.untracked++
		default:
			if m.files == nil {
				m.files = map[[sha256.Size]byte]bool{}
			}
			m.files[key] = true
		}
	}
}

func (m *missingFiles) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.files) + m.untracked
}
