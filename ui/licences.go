package ui

import _ "embed"

// licences are the licences of Multipeer and of everything that it contains. tools/licences collects them.
//
//go:embed licences.txt
var licences string
