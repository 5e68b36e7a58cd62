"""Measures our services and other servers of the same models, one after another, under the same load."""
