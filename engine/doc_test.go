package engine_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"multipeer/engine"
)

// TestDoc_LimitsAgreeWithTheConstants checks that the package comment agrees with the constants.
func TestDoc_LimitsAgreeWithTheConstants(t *testing.T) {
	b, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^//\t(.*?)  +(.*\((\w+)\))$`).FindAllStringSubmatch(string(b), -1) {
		documented[m[3]] = m[2]
	}
	minutes := func(d time.Duration) string {
		if d%time.Minute == 0 {
			return fmt.Sprintf("%d min", d/time.Minute)
		}
		return fmt.Sprintf("%d s", d/time.Second)
	}
	for name, is := range map[string]string{
		"MaxName": fmt.Sprint(engine.MaxName), "MaxService": fmt.Sprint(engine.MaxService), "MaxPair": fmt.Sprint(engine.MaxPair),
		"MaxInfo": fmt.Sprint(engine.MaxInfo), "MaxContext": fmt.Sprint(engine.MaxContext), "MaxMessage": fmt.Sprint(engine.MaxMessage),
		"MaxDatagram": fmt.Sprint(engine.MaxDatagram), "MaxPending": fmt.Sprint(engine.MaxPending), "MaxStreams": fmt.Sprint(engine.MaxStreams),
		"MaxStreamName": fmt.Sprint(engine.MaxStreamName), "SendTimeout": minutes(engine.SendTimeout),
		"InviteTimeout": minutes(engine.InviteTimeout), "OfferTimeout": minutes(engine.OfferTimeout),
	} {
		if !strings.Contains(" "+documented[name]+" ", " "+is+" ") {
			t.Errorf("%s is %s, the package comment has %q", name, is, documented[name])
		}
		delete(documented, name)
	}
	if len(documented) > 0 {
		t.Errorf("limits that do not exist: %v", documented)
	}
}
