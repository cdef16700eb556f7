"""The shelf that the settings ask for, and the keys of what is on it."""

from __future__ import annotations

import base64
import os
from pathlib import Path

from recorder.sealing import keys
from recorder.storage.bucket import Bucket, BucketConfig
from recorder.storage.remote import BucketShelf
from recorder.storage.shelf import Shelf
from recorder.storage.uploads import Uploads
from signaling.settings import Settings, SettingsError

KEYS = "recordings.keys"


def ring(settings: Settings) -> tuple[bytes, ...]:
    """The server's keys for recordings; made where they are wanted for the first time. Raises SettingsError."""
    told = settings.recordings
    path = Path(told.key_file).expanduser() if told.key_file else settings.data / KEYS
    try:
        if told.key:
            return keys.read_ring(told.key)
        if not told.key_file and told.encrypt and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(base64.b64encode(os.urandom(32)).decode() + "\n")
        return keys.read_ring(path.read_text()) if told.key_file or path.exists() else ()
    except ValueError as error:
        where = "recordings.key" if told.key else f"recordings.key_file ({path})"
        raise SettingsError(f"{where} cannot be used: {error}") from None
    except OSError as error:
        raise SettingsError(f"recordings.key_file: {path}: {error.strerror}") from None


def shelf(settings: Settings) -> Shelf:
    """Asks nothing of the network. Raises SettingsError."""
    told, root = settings.storage, settings.recordings_dir
    keys.use(root, ring(settings), settings.recordings.encrypt)
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
