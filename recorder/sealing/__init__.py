"""Encryption at rest: a key a recording (`keys`), files of sealed blocks (`blocks`), how each is opened (`files`)."""
