"""Where recordings are kept: on this disk (`shelf.Shelf`), or in a bucket with this disk before it (`remote`)."""
