"""Generates load on services, watches their autoscaler meanwhile, and explains both on one clock.

A scenario's schedule determines when requests start, clients send them, one clock times all observations, and the
report summarises these. Schedules, statistics, decisions and reports are pure functions; only `commands`, `engine`,
`client` and `cluster` use the network, the clock or files.
"""
