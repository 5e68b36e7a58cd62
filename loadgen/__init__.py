"""Generates load on the services and measures it: schedule -> client -> observe -> report.

A schedule determines when requests start, clients send them, one clock times all observations, and the report
summarises these. Schedules, summaries and reports are pure functions; only `client`, `run` and `__main__` use the
network, the clock or the terminal.
"""
