"""The shelf that the settings ask for."""

from __future__ import annotations

from recorder.storage.bucket import Bucket, BucketConfig
from recorder.storage.remote import BucketShelf
from recorder.storage.shelf import Shelf
from recorder.storage.uploads import Uploads
from signaling.settings import Settings, SettingsError


def shelf(settings: Settings) -> Shelf:
    """Asks nothing of the network. Raises SettingsError."""
    told, root = settings.storage, settings.recordings_dir
    if told.kind == "local":
        return Shelf(root)
    if not told.bucket:
        raise SettingsError("storage.bucket: recordings in S3 need the bucket's name")
    config = BucketConfig(
        bucket=told.bucket,
        prefix=told.prefix,
        endpoint=told.endpoint,
        region=told.region,
        access_key=told.access_key,
        secret_key=told.secret_key,
    )
    try:
        bucket = Bucket(config)
    except (RuntimeError, ValueError) as error:
        raise SettingsError(f"storage.kind: {error}") from None
    return BucketShelf(root, bucket, Uploads(root, bucket), told.keep_hours * 3600, told.playback == "signed")
