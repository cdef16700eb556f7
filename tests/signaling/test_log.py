"""What strangers send is not logged as an error of ours."""

from __future__ import annotations

import asyncio
import logging

import pytest

from signaling.log import quietly


def refused(data: bytes) -> logging.LogRecord:
    """What aiohttp logs of bytes that it cannot read."""
    from aiohttp.http_exceptions import BadHttpMethod

    try:
        raise BadHttpMethod(data.decode("latin-1"))
    except BadHttpMethod as error:
        record = logging.LogRecord(
            "aiohttp.server", logging.ERROR, "x", 1, "Error handling request from %s", ("192.0.2.1",),
            (type(error), error, error.__traceback__),
        )  # fmt: skip
    return record


def test_bytes_that_are_no_http_are_one_line_without_them() -> None:
    record = refused(b"\xe8v\x98 secret \x00")
    assert quietly(record)
    assert (record.levelno, record.exc_info) == (logging.INFO, None)
    assert record.getMessage() == "no HTTP: BadHttpMethod from 192.0.2.1"


def test_a_fault_of_ours_keeps_its_traceback() -> None:
    try:
        raise RuntimeError("ours")
    except RuntimeError as error:
        info = type(error), error, error.__traceback__
    record = logging.LogRecord("aiohttp.server", logging.ERROR, "x", 1, "Error handling request from %s", ("a",), info)
    assert quietly(record) and record.levelno == logging.ERROR and record.exc_info == info


async def test_a_second_request_of_garbage_logs_no_error(house, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("aiohttp.server")
    logger.addFilter(quietly)
    try:
        with caplog.at_level(logging.INFO):
            host, port = house.url.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            async with asyncio.timeout(10):
                writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                answer = await reader.readuntil(b"}")
                writer.write(b"\xe8v\x98\r\n\r\n")
                answer += await reader.read()
            writer.close()
    finally:
        logger.removeFilter(quietly)
    assert b"200 OK" in answer and b"400" in answer
    told = [record for record in caplog.records if record.name == "aiohttp.server"]
    assert told and all(record.levelno <= logging.INFO and not record.exc_info for record in told)
