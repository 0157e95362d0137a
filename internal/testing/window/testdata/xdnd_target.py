#!/usr/bin/python3
"""Take a drop of files: the target's half of the XDND protocol, version 5.

usage: xdnd_target.py X Y

Opens a window of 200 by 200 pixels at a position, prints "ready", and prints each path that is dropped on it. Exits
after the first drop, or after a minute. Needs python3-xlib of the distribution, hence the distribution's own
interpreter in the first line.
"""
import select
import sys
import time
import urllib.parse

from Xlib import X, Xatom, display
from Xlib.protocol import event

d = display.Display()
root = d.screen().root
atom = d.intern_atom
win = root.create_window(int(sys.argv[1]), int(sys.argv[2]), 200, 200, 0, X.CopyFromParent,
                         background_pixel=d.screen().white_pixel, override_redirect=1)
win.change_property(atom("XdndAware"), Xatom.ATOM, 32, [5])
win.map()
d.sync()
print("ready", flush=True)


def answer(to, kind, data):
    w = d.create_resource_object("window", to)
    w.send_event(event.ClientMessage(window=w, client_type=atom(kind), data=(32, data)), event_mask=0)
    d.flush()


source = None
end = time.time() + 60
while time.time() < end:
    if not d.pending_events():
        select.select([d.fileno()], [], [], 0.1)
        continue
    e = d.next_event()
    if e.type == X.ClientMessage and e.client_type == atom("XdndPosition"):
        answer(e.data[1][0], "XdndStatus", [win.id, 1, 0, 0, atom("XdndActionCopy")])
    elif e.type == X.ClientMessage and e.client_type == atom("XdndDrop"):
        source = e.data[1][0]
        win.convert_selection(atom("XdndSelection"), atom("text/uri-list"), atom("DROPPED"), X.CurrentTime)
        d.flush()
    elif e.type == X.SelectionNotify and e.property != X.NONE:
        listed = win.get_full_property(e.property, X.AnyPropertyType).value
        answer(source, "XdndFinished", [win.id, 1, atom("XdndActionCopy"), 0, 0])
        for line in bytes(listed).decode().split():
            print(urllib.parse.unquote(urllib.parse.urlparse(line).path), flush=True)
        sys.exit(0)
sys.exit("nothing was dropped within a minute")
