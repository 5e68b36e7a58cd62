"""Serves decision forests that scikit-learn trained: with its exact results, and without running their pickle."""
