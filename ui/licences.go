package ui

import _ "embed"

// licences are those of Multipeer and of everything that is built into it; internal/licences collects them.
//
//go:embed licences.txt
var licences string
