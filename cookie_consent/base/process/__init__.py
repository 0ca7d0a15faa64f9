"""Processes, threads and event loops: forks, locks, waiting, work beside the requests."""
