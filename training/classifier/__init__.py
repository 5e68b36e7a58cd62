"""Trains, evaluates and describes random forests for the classifier."""
