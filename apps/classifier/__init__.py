"""Serves decision forests that scikit-learn trained: exactly, and without running the pickle they come in."""
