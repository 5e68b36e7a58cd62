"""Load on the two services, measured honestly: schedule -> client -> observe -> report.

A schedule says when requests are due, clients send them, each is observed on one clock, and a report is
made of what was observed. Schedules, summaries and reports are pure; only `client`, `run` and `__main__`
touch the network, the clock or the terminal.
"""
