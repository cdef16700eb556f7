"""One S3 bucket, as little of it as recordings need: blocking calls, any thread, plain errors.

boto3 is an extra of the package (``pip install consilium[s3]``), imported only where the settings name a bucket. It is
blocking, and that is why it was chosen: whole uploads, their sums included, stay in threads, and the event loop that
meetings run on sees none of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MOST_DELETED = 1000
"""Objects of one DeleteObjects request (S3's own limit)."""


class StorageAway(OSError):
    """The bucket cannot be reached, or refuses us; the message says how."""


@dataclass(frozen=True, slots=True)
class BucketConfig:
    """`endpoint` is empty for Amazon's; `prefix` stands before every key. Without keys boto3 looks where it always
    does (environment, instance role)."""

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = ""
    access_key: str = ""
    secret_key: str = ""


@contextlib.contextmanager
def _plain(key: str) -> Iterator[None]:
    """boto3's errors as ours: FileNotFoundError for what is not there, StorageAway for everything else."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in ("NoSuchKey", "NoSuchUpload", "404", "NotFound"):
            raise FileNotFoundError(key) from None
        raise StorageAway(f"the bucket refuses: {code}") from None
    except (BotoCoreError, Boto3Error, OSError) as error:
        raise StorageAway(f"the bucket is away: {type(error).__name__}") from None


class Bucket:
    """Keys are relative to the configured prefix. Everything raises StorageAway; what reads, FileNotFoundError too."""

    def __init__(self, config: BucketConfig) -> None:
        """Raises RuntimeError when boto3 is not installed. Asks nothing of the network."""
        try:
            import boto3
            from botocore.config import Config
        except ImportError:
            raise RuntimeError("recordings in S3 need boto3: pip install 'consilium[s3]'") from None
        self.config = config
        self._client: Any = boto3.session.Session().client(
            "s3",
            endpoint_url=config.endpoint or None,
            region_name=config.region or None,
            aws_access_key_id=config.access_key or None,
            aws_secret_access_key=config.secret_key or None,
            config=Config(
                signature_version="s3v4",
                connect_timeout=5,
                read_timeout=30,
                retries={"max_attempts": 2, "mode": "standard"},
                # A server of one's own seldom has a name for each bucket.
                s3={"addressing_style": "path" if config.endpoint else "auto"},
                # Newer sums are unknown to many servers that speak S3.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def _at(self, key: str) -> dict[str, str]:
        return {"Bucket": self.config.bucket, "Key": self.config.prefix + key}

    def put(self, key: str, data: bytes) -> None:
        """One object, whole."""
        with _plain(key):
            self._client.put_object(Body=data, **self._at(key))

    def get(self, key: str, start: int | None = None, end: int | None = None) -> bytes:
        """An object, or its bytes [start, end)."""
        ranged = {} if start is None or end is None else {"Range": f"bytes={start}-{end - 1}"}
        with _plain(key):
            answer = self._client.get_object(**ranged, **self._at(key))
            with contextlib.closing(answer["Body"]) as body:
                data: bytes = body.read()
        if start is not None and end is not None and len(data) != end - start:
            raise StorageAway("the bucket gave other bytes than were asked for")
        return data

    def begin(self, key: str) -> str:
        """Begins an upload in parts; returns its id."""
        with _plain(key):
            return str(self._client.create_multipart_upload(**self._at(key))["UploadId"])

    def part(self, key: str, upload: str, number: int, data: bytes) -> str:
        """Part `number` (from 0) of an upload; the same number again replaces it. Returns its tag."""
        with _plain(key):
            answer = self._client.upload_part(UploadId=upload, PartNumber=number + 1, Body=data, **self._at(key))
            return str(answer["ETag"])

    def complete(self, key: str, upload: str, tags: list[str]) -> None:
        """The parts become the object."""
        parts = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]
        with _plain(key):
            self._client.complete_multipart_upload(UploadId=upload, MultipartUpload={"Parts": parts}, **self._at(key))

    def link(self, key: str, seconds: int, content_type: str) -> str:
        """An address from which anybody can read the object for so long. Asks nothing of the network."""
        told = {"ResponseContentType": content_type, "ResponseCacheControl": "private, no-store"}
        with _plain(key):
            parameters = {**self._at(key), **told}
            return str(self._client.generate_presigned_url("get_object", Params=parameters, ExpiresIn=seconds))

    def clear(self, prefix: str) -> int:
        """Deletes everything under a prefix, older versions and unfinished uploads too. Returns how much that was."""
        with _plain(prefix):
            where = {"Bucket": self.config.bucket, "Prefix": self.config.prefix + prefix}
            count = 0
            for page in self._client.get_paginator("list_multipart_uploads").paginate(**where):
                for one in page.get("Uploads", []):
                    with contextlib.suppress(self._client.exceptions.NoSuchUpload):
                        self._client.abort_multipart_upload(
                            Bucket=self.config.bucket, Key=one["Key"], UploadId=one["UploadId"]
                        )
                    count += 1
            found = list(self._everything(where))
            for at in range(0, len(found), MOST_DELETED):
                objects = {"Objects": found[at : at + MOST_DELETED], "Quiet": True}
                answer = self._client.delete_objects(Bucket=self.config.bucket, Delete=objects)
                if errors := answer.get("Errors"):
                    raise StorageAway(f"the bucket keeps what is to go: {errors[0].get('Code')}")
            return count + len(found)

    def _everything(self, where: dict[str, str]) -> Iterator[dict[str, str]]:
        from botocore.exceptions import ClientError

        try:
            for page in self._client.get_paginator("list_object_versions").paginate(**where):
                for one in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                    yield {"Key": one["Key"], "VersionId": one["VersionId"]}
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "NotImplemented":
                raise
            for page in self._client.get_paginator("list_objects_v2").paginate(**where):
                yield from ({"Key": one["Key"]} for one in page.get("Contents", []))
