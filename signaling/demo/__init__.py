"""The demo guests: three doctors, real WebRTC clients of ours, who discuss a case in two languages.

They speak only while somebody else is in the room, and start their discussion again from its beginning when somebody
comes into an empty one.
"""

from __future__ import annotations


def run(link: str) -> None:
    """Sends the guests into the room of a guest link (``http://host/j/CODE``) until SIGTERM or SIGINT."""
    # Late: the command line asks for this module's name long before anybody wants its media parts.
    from signaling.demo.stage import perform

    perform(link)
