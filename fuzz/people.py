"""What people and their programs send: messages, WHIP bodies, glossaries."""

from __future__ import annotations

import contextlib

import msgspec

from captioning import imports
from fuzz.network import TRANSPORT
from sfu import negotiation, sdp
from sfu.interface import SdpError
from signaling import protocol
from signaling.endpoint import ApiError
from signaling.whip import fragment_of, labels_of, with_credentials


def messages(data: bytes) -> None:
    """One WebSocket message, from either side. What is understood survives being written again."""
    for decoder in (protocol.client_decoder, protocol.server_decoder):
        try:
            message = decoder.decode(data)
        except (msgspec.DecodeError, UnicodeError, RecursionError):  # what `Session.receive` expects
            continue
        assert decoder.decode(protocol.encoder.encode(message)) == message


def whip(data: bytes) -> None:
    """The body of a POST, a NUL, and that of a PATCH."""
    try:
        offer, _, fragment = data.decode().partition("\0")
    except UnicodeError:
        return
    try:
        labels = labels_of(offer)
    except ApiError as error:
        assert error.status == 400
        return
    for text in (offer, with_credentials(offer, fragment)):
        if text is None:
            continue
        try:
            plan = negotiation.plan_publish(sdp.parse(text), {label.mid: label.source for label in labels})
        except SdpError:
            continue
        if plan.ice is not None and plan.incoming:
            assert "a=candidate:" in fragment_of(negotiation.write_answer(plan, TRANSPORT, "1", 1))


def glossary(data: bytes) -> None:
    """A CSV or TBX file. Terms are bounded and printable, whatever the file is."""
    with contextlib.suppress(imports.GlossaryError):
        for term in imports.parse(data):
            texts = [term.term, *term.aliases, *term.translations.values()]
            assert term.term and term.language and all(len(text) <= imports.LONGEST for text in texts)
            assert all(text.isprintable() for text in texts)
