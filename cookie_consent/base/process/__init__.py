"""Processes, threads and event loops: forks, file locks, waiting and background work."""
