"""A real S3 server in a thread of its own (moto), which can go away and come back with what it had."""

from __future__ import annotations

import os
import secrets
from typing import Any

os.environ.setdefault("S3_UPLOAD_PART_MIN_SIZE", "1")  # small parts, so that small files have many

import boto3
from moto.server import ThreadedMotoServer

from recorder.storage.bucket import Bucket, BucketConfig


class S3:
    """One bucket on it."""

    def __init__(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        self._port = self._server.get_host_and_port()[1]
        self.bucket = f"bucket-{secrets.token_hex(4)}"
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id="id",
            aws_secret_access_key="secret",
        )
        self.client.create_bucket(Bucket=self.bucket)
        self.client.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def config(self) -> BucketConfig:
        return BucketConfig(self.bucket, "here/", self.endpoint, "us-east-1", "id", "secret")

    def open(self) -> Bucket:
        return Bucket(self.config)

    def objects(self) -> dict[str, bytes]:
        """Everything that is there, by key."""
        listed = self.client.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        return {one["Key"]: self.client.get_object(Bucket=self.bucket, Key=one["Key"])["Body"].read() for one in listed}

    def left(self) -> int:
        """Objects, older versions and unfinished uploads."""
        versions = self.client.list_object_versions(Bucket=self.bucket)
        uploads = self.client.list_multipart_uploads(Bucket=self.bucket)
        return sum(
            len(one.get(kind, [])) for one in (versions, uploads) for kind in ("Versions", "DeleteMarkers", "Uploads")
        )

    def away(self) -> None:
        self._server.stop()

    def back(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self._port, verbose=False)
        self._server.start()
