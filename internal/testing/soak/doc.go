// Package soak holds a test that runs many engines for a long time on a network that loses, delays, reorders and
// duplicates packets, is interrupted, and whose devices are killed and restarted at random: nothing may be lost
// silently, arrive twice, or pile up.
package soak
