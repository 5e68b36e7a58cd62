"""The services that loadgen knows: their requests, the data that is sent, and which answers are valid."""
