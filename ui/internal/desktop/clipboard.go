package desktop

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// ClipboardPaths parses text in which every line is a path or a file: URL on this machine, and returns nil for any
// other text. It rejects paths to other hosts, because looking one up would reveal this user to that host.
func ClipboardPaths(text string) (paths []string) {
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
	if len(lines) == 0 || len(lines) > 100 {
		return nil
	}
	for _, l := range lines {
		if l == "copy" || l == "cut" || l == "x-special/nautilus-clipboard" {
			continue
		}
		p := l
		if strings.HasPrefix(l, "file:") {
			parsed, err := url.Parse(l)
			if err != nil || parsed.Host != "" && parsed.Host != "localhost" {
				return nil
			}
			p = filepath.FromSlash(parsed.Path)
		}
		if !filepath.IsAbs(p) || strings.HasPrefix(p, `\\`) || strings.HasPrefix(p, "//") {
			return nil
		}
		paths = append(paths, p)
	}
	return paths
}

// Exist reports whether all paths exist.
func Exist(paths []string) bool {
	for _, p := range paths {
		if _, err := os.Lstat(p); err != nil {
			return false
		}
	}
	return true
}

// SavePasted stores pasted content until it is delivered, which may be after the next start.
func SavePasted(name string, content []byte) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "multipeer", "pasted")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	if dir, err = os.MkdirTemp(dir, ""); err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	return path, os.WriteFile(path, content, 0o600)
}
