"""Restates the HorizontalPodAutoscaler's algorithm: to explain a run's decisions, and to forecast others."""
