"""Members, rooms, links, recordings, audit: what outlives a meeting. Knows storage only."""
