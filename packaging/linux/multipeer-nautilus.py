"""Adds "Send with Multipeer" to the menu of the file manager Nautilus; it needs the package python3-nautilus."""

import locale
import subprocess

from gi.repository import GObject, Nautilus

LABELS = {
    "de": "Mit Multipeer senden",
    "es": "Enviar con Multipeer",
    "fi": "Lähetä Multipeerilla",
    "fr": "Envoyer avec Multipeer",
    "zh": "用 Multipeer 发送",
}


class Multipeer(GObject.GObject, Nautilus.MenuProvider):
    def get_file_items(self, *arguments):
        files = [f.get_uri() for f in arguments[-1] if f.get_uri_scheme() == "file"]
        if not files:
            return []
        language = (locale.getlocale()[0] or "")[:2]
        item = Nautilus.MenuItem(name="Multipeer::send", label=LABELS.get(language, "Send with Multipeer"))
        item.connect("activate", lambda _: subprocess.Popen(["multipeer", *files]))
        return [item]
