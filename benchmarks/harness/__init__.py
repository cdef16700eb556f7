"""What benchmarks and end-to-end tests share: the real server as a process, and the real browsers."""
