"""The CPU and memory that this process may use."""
