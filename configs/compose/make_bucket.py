"""Makes the bucket of FARM_STORE_URL where there is none, once the S3 server takes requests."""

from __future__ import annotations

import sys
import time
from typing import Any

from farm.config import read_settings
from farm.errors import FarmError
from farm.storage import open_store
from farm.storage.s3 import S3Store
from farm.storage.s3_client import ClientError, code, connect, mapped

#: Seconds that the server may take; it says that it is healthy before it can store anything.
START_S = 90.0
_THERE_ALREADY = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}


def main() -> None:
    """Make it, and see that objects can be written and deleted."""
    settings, end = read_settings(), time.monotonic() + START_S
    url, region = settings.s3_endpoint_url, settings.s3_region
    store = open_store(settings.store, endpoint_url=url, region=region)
    if not isinstance(store, S3Store):
        sys.exit(f"FARM_STORE_URL {settings.store!r} names no bucket")
    client = connect(url, region, 1, 10.0, conditional=False)
    while True:
        try:
            make(client, store.bucket)
            store.put("probe/bucket", b"")
            store.delete("probe/bucket")
        except FarmError as error:
            if time.monotonic() > end:
                sys.exit(f"{store}: {error}")
            time.sleep(1)
        else:
            return


def make(client: Any, bucket: str) -> None:
    """Make a bucket, unless it is there."""
    with mapped(f"bucket {bucket}"):
        try:
            client.create_bucket(Bucket=bucket)
        except ClientError as error:
            if code(error) not in _THERE_ALREADY:
                raise


if __name__ == "__main__":
    main()
