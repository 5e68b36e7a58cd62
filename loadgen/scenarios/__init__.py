"""What a run does: the fields of a scenario, its schedule and its thresholds, and scenarios ready to run (*.yaml)."""
