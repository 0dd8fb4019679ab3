"""The layout of an outbound message (SMIL), as every handset is known to take it.

It names every part, because some receivers show only what it names (MM4, section 5).
"""

from collections.abc import Iterable

CONTENT_ID = "smil"
FILE_NAME = "smil.xml"

_HEAD = (
    '<smil><head><layout><root-layout width="100%" height="100%"/>'
    '<region id="Image" top="0%" left="0%" width="100%" height="70%" fit="meet"/>'
    '<region id="Text" top="70%" left="0%" width="100%" height="30%" fit="scroll"/></layout></head><body>'
)
_TAIL = "</body></smil>"

# First half of the content type → element and where it is shown. Sound has no place, anything else is left to the
# handset. Each slide stays for five seconds.
_ELEMENTS = {
    "image": ("img", ' region="Image"'),
    "video": ("video", ' region="Image"'),
    "audio": ("audio", ""),
    "text": ("text", ' region="Text"'),
}
_OTHER = ("ref", ' region="Image"')
# Text by their name, but no text to show: an address card, a date.
_ATTACHED = frozenset({"text/x-vcard", "text/vcard", "text/calendar", "text/directory"})


def layout(parts: Iterable[tuple[str, str]]) -> str:
    """One slide for each (content type, Content-ID without angle brackets), in order, in one line of ASCII."""
    slides = []
    for content_type, content_id in parts:
        family = content_type.partition("/")[0]
        element, region = _OTHER if content_type in _ATTACHED else _ELEMENTS.get(family, _OTHER)
        slides.append(f'<par dur="5000ms"><{element} src="cid:{content_id}"{region}/></par>')
    return f"{_HEAD}{''.join(slides)}{_TAIL}"
