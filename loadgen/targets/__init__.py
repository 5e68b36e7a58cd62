"""The services that loadgen knows: their requests, and which answers are valid."""
