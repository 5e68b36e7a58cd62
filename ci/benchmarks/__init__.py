"""What `ci/bench` runs: our services and others that do the same, one after another on one core, under one load."""
