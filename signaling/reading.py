"""The HTTP API of what was written in a recording, in a language of the reader's."""

from __future__ import annotations

from recorder import clip
from recorder import service as recorder
from recorder.written import Rendered, written
from signaling.call import Call
from signaling.endpoint import ApiError, Body, Table
from signaling.passes import Pass, authorised
from signaling.written import Busy

table = Table()


class ReadingLanguages(Body, kw_only=True, frozen=True):
    """Those that what was written was translated into already, and those that it could be."""

    made: list[str]
    reached: list[str]


class Reading(Body, kw_only=True, frozen=True):
    """Translations of what the asker may see, by the words that were written (`of`). `making`: more may come. `without`
    are languages that nothing could be translated from: there is no model, or no worker."""

    language: str
    making: bool
    without: list[str]
    texts: list[Rendered]


async def _readings(call: Call, way: Pass, language: str) -> Reading:
    library, recording = call.services.library, way.row.id
    making = library.writing is not None and library.writing.making(recording, language)
    shown = (await library.seen(recording, way.passage)).manifest
    seen = {one.text for one in written(shown if way.chat else clip.without_chat(shown))}
    known = await library.renderings(recording)
    return Reading(
        language=language,
        making=making,
        without=library.writing.without(recording, language) if library.writing is not None else [],
        texts=[one for one in known.made.get(language, []) if one.of in seen],
    )


async def _way(call: Call) -> Pass:
    way = await authorised(call)
    if way.row.state == "recording":
        raise ApiError(409, "not-yet", "this recording is not finished yet")
    return way


@table.add(
    "GET",
    "/api/recordings/{recording}/written",
    answer=ReadingLanguages,
    errors=(404, 409),
    access="recording",
    tag="recordings",
)
async def get_languages(call: Call) -> ReadingLanguages:
    """Languages in which chat, questions and polls of a recording can be read."""
    way = await _way(call)
    known = await call.services.library.renderings(way.row.id)
    return ReadingLanguages(made=sorted(known.made), reached=sorted(call.services.captions.status().read))


@table.add(
    "GET",
    "/api/recordings/{recording}/written/{language}",
    answer=Reading,
    errors=(404, 409),
    access="recording",
    tag="recordings",
)
async def get_reading(call: Call) -> Reading:
    """What there is of chat, questions and polls of a recording in this language; nothing is begun."""
    return await _readings(call, await _way(call), call.arg("language"))


@table.add(
    "POST",
    "/api/recordings/{recording}/written/{language}",
    answer=Reading,
    errors=(404, 409, 429),
    access="recording",
    tag="recordings",
)
async def begin_reading(call: Call) -> Reading:
    """Translate chat, questions and polls of a recording into this language, as far as that is not done: once for all
    who read it. What may be wrong is marked (`guard`). Ask with GET while it is `making`."""
    way, language = await _way(call), call.arg("language")
    library = call.services.library
    if library.writing is not None and language in call.services.captions.status().read:
        call.throttle(call.services.throttles.link)
        try:
            await library.writing.begin(way.row.id, language)
        except Busy:
            raise ApiError(429, "busy", "too much is being translated: try again later") from None
        except recorder.RecordingNotFound:
            raise ApiError(404, "not-found", "this recording has no replay") from None
    elif language not in (await library.renderings(way.row.id)).made:
        raise ApiError(404, "no-language", "nothing can be translated into this language here")
    return await _readings(call, way, language)
