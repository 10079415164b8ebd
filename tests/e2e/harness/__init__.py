"""What the end-to-end tests and the benchmarks share: servers, mounts, data and waiting."""
