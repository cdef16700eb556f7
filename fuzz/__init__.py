"""Fuzz targets for every parser that hostile bytes reach, and the corpus that they have grown; see docs/fuzzing.md."""
