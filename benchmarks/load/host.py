"""The server under test as a process of its own: the whole `Sfu` (ports, ICE, DTLS, plane, room), offered over HTTP.

`python -m benchmarks.load.host PLANE [THREADS [ROOMS]]` serves on loopback and prints its port as JSON. There is no
policy of people and links before it: what is measured is the media server, with everything that runs when media flows.
With ``CARRIED`` in the environment no plane takes over TCP connections: Python carries their media, to be compared.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any, Literal, cast

import uvloop
from aiohttp import ClientSession, web

from sfu.interface import ConnectionKind, ConnectionState, Offer, SdpError, SfuConfig, TrackLabel
from sfu.server import Sfu
from sfu.taps import TrackInfo, TrackSource
from sfu.tcp import TcpRoute

PUBLISHER = "publisher"


class Room:
    """One room whose offers wait to be fetched."""

    def __init__(self, sfu: Sfu, name: str) -> None:
        self._sfu = sfu
        self._room = sfu.open_room(name, self)
        self._offers: dict[str, asyncio.Queue[Offer]] = {}
        self._room.add_participant(PUBLISHER)

    def track_added(self, track: TrackInfo) -> None: ...
    def track_removed(self, track: TrackInfo) -> None: ...
    def speakers(self, participants: list[str]) -> None: ...
    def encodings(self, participant: str, track: str, active: list[str]) -> None: ...
    def connection(self, participant: str, connection: ConnectionKind, state: ConnectionState) -> None: ...

    def offer(self, participant: str, offer: Offer) -> None:
        self._offers[participant].put_nowait(offer)

    async def publish(self, request: web.Request) -> web.Response:
        body = await request.json()
        labels = [TrackLabel(mid, cast("TrackSource", source)) for mid, source in body["labels"]]
        published = await self._room.publish(PUBLISHER, body["sdp"], labels)
        return web.json_response({"sdp": published.sdp})

    async def subscribe(self, request: web.Request) -> web.Response:
        viewer = request.match_info["viewer"]
        self._offers[viewer] = asyncio.Queue()
        self._room.add_participant(viewer)
        self._room.subscribe(viewer)
        offer = await self._offers[viewer].get()
        return web.json_response({"sdp": offer.sdp, "revision": offer.revision})

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.json()
        await self._room.answer(request.match_info["viewer"], body["revision"], body["sdp"])
        return web.json_response({})

    async def stats(self, request: web.Request) -> web.Response:
        stats = self._sfu.stats()
        figures: dict[str, Any] = {"in": stats.packets_in, "out": stats.packets_out, "dropped": stats.dropped}
        return web.json_response(figures | {"plane": self._sfu.plane_name})


async def serve(plane: Literal["auto", "python", "native"], threads: int = 1, rooms: int = 1) -> None:
    """Until standard input ends. Raises what `Sfu` raises for a plane that is not there."""
    sfu = Sfu(SfuConfig(host="127.0.0.1", port=0, public_addresses=("127.0.0.1",), plane=plane, threads=threads))
    await sfu.start()

    @web.middleware
    async def refusals(request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            answer: web.StreamResponse = await handler(request)
        except (SdpError, ValueError, KeyError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return answer

    application = web.Application(middlewares=[refusals])
    for number in range(rooms):
        room = Room(sfu, f"benchmark-{number}")
        application.add_routes(
            [
                web.post(f"/{number}/publish", room.publish),
                web.post(f"/{number}/subscribe/{{viewer}}", room.subscribe),
                web.post(f"/{number}/answer/{{viewer}}", room.answer),
                web.get(f"/{number}/stats", room.stats),
            ]
        )
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    print(json.dumps({"port": port, "plane": sfu.plane_name}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()
    await sfu.stop()


class HostSignalling:
    """The generator's side of `host`."""

    def __init__(self, http: ClientSession, port: int, room: int = 0) -> None:
        self._http = http
        self._base = f"http://127.0.0.1:{port}/{room}"
        self._revisions: dict[str, int] = {}

    async def _post(self, path: str, body: Any) -> Any:
        async with self._http.post(self._base + path, json=body) as response:
            answer = await response.json()
        if response.status != 200:
            raise ConnectionError(f"{path}: {answer}")
        return answer

    async def publish(self, offer: str, labels: list[TrackLabel]) -> str:
        body = {"sdp": offer, "labels": [(label.mid, label.source) for label in labels]}
        return str((await self._post("/publish", body))["sdp"])

    async def subscribe(self, viewer: str) -> str:
        offer = await self._post(f"/subscribe/{viewer}", {})
        self._revisions[viewer] = offer["revision"]
        return str(offer["sdp"])

    async def answer(self, viewer: str, answer: str) -> None:
        await self._post(f"/answer/{viewer}", {"sdp": answer, "revision": self._revisions[viewer]})

    async def stats(self) -> dict[str, Any]:
        """Packets in, out and dropped."""
        async with self._http.get(f"{self._base}/stats") as response:
            found: dict[str, Any] = await response.json()
        return found


if __name__ == "__main__":
    if "CARRIED" in os.environ:
        TcpRoute.hand_over = lambda self, adopt: False  # type: ignore[method-assign]
    uvloop.run(serve(cast("Literal['auto', 'python', 'native']", sys.argv[1]), *map(int, sys.argv[2:])))
