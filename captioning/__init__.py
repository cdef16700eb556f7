"""Audio into words, words into languages. Knows the tap types of `sfu` and nothing else of ours."""
